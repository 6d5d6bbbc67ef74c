import { invalidType, invalidValue } from "../errors";
import { LOCK_MODES, type LockMode, isLockMode } from "../modes";

import type { OnBlocking } from "./lock-options";
import { checkLvbOption } from "./lvb";
import type { ValueWish } from "./value";

export type Options = Record<string, unknown>;

/** @throws TypeError, RangeError */
export function checkMode(mode: unknown, name: string): LockMode {
  if (isLockMode(mode)) return mode;
  if (typeof mode !== "string") throw invalidType(name, "a lock mode", mode);
  throw invalidValue(name, `is '${mode}', which is no lock mode; one of ${LOCK_MODES.join(", ")} is`);
}

/** Stands for every object of options without any: nothing in it needs looking at. */
export const NO_OPTIONS: Options = {};

/** @throws TypeError */
export function checkObject(options: unknown): Options {
  if (options === undefined) return NO_OPTIONS;
  if (typeof options !== "object" || options === null) throw invalidType("options", "an object", options);
  return options as Options;
}

// The getter refuses what merely inherits from AbortSignal, and would fail us half-way through a request.
function isGenuine(signal: AbortSignal): boolean {
  try {
    return typeof signal.aborted === "boolean";
  } catch {
    return false;
  }
}

/** @throws TypeError */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return signal;
  if (signal instanceof AbortSignal && isGenuine(signal)) return signal;
  throw invalidType("options.signal", "an AbortSignal", signal);
}

/** @throws TypeError */
export function checkFlag(options: Options, name: string): boolean {
  const value = options[name];
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw invalidType(`options.${name}`, "a boolean", value);
  return value;
}

/** `undefined`: as it was. @throws TypeError */
export function checkListener(listener: unknown): OnBlocking | null | undefined {
  if (listener === undefined || listener === null || typeof listener === "function") {
    return listener as OnBlocking | null | undefined;
  }
  throw invalidType("options.onBlocking", "a function", listener);
}

/** @throws TypeError, RangeError */
export function checkValueWish(options: Options): ValueWish {
  const wish = { lvb: checkLvbOption(options["lvb"]), invalidate: checkFlag(options, "invalidateLvb") };
  if (wish.invalidate && wish.lvb instanceof Uint8Array) {
    throw invalidValue("options.lvb", "cannot be written by an operation that invalidates the value");
  }
  return wish;
}

/** @throws TypeError, RangeError */
export function checkUint32(value: unknown, name: string): number {
  if (typeof value !== "number") throw invalidType(name, "a number", value);
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw invalidValue(name, `is ${value}; a whole number of 0 to 2^32-1 is expected`);
  }
  return value;
}

/** The two halves of a 64-bit tag. @throws TypeError, RangeError */
export function checkXid(xid: unknown): { low: number; high: number } {
  if (typeof xid !== "bigint" && typeof xid !== "number") throw invalidType("options.xid", "a bigint or number", xid);
  const fits = typeof xid === "bigint" ? xid >= 0n && xid < 1n << 64n : Number.isSafeInteger(xid) && xid >= 0;
  if (!fits) throw invalidValue("options.xid", `is ${xid}; a whole number of 0 to 2^64-1 is expected`);
  const bits = BigInt(xid);
  return { low: Number(bits & 0xffffffffn), high: Number(bits >> 32n) };
}

/** What the `create` option asks for. @throws TypeError, RangeError */
export function checkCreation(create: unknown): { wanted: boolean; exclusive: boolean; mode: number | undefined } {
  if (create === undefined || typeof create === "boolean") {
    return { wanted: create ?? false, exclusive: false, mode: undefined };
  }
  if (typeof create !== "object" || create === null) {
    throw invalidType("options.create", "a boolean or an object", create);
  }
  const given = create as Options;
  if (given["exclusive"] !== undefined && typeof given["exclusive"] !== "boolean") {
    throw invalidType("options.create.exclusive", "a boolean", given["exclusive"]);
  }
  const mode = given["mode"] === undefined ? undefined : checkUint32(given["mode"], "options.create.mode");
  if (mode !== undefined && mode > 0o777) {
    throw invalidValue("options.create.mode", `is 0o${mode.toString(8)}; permission bits up to 0o777 are expected`);
  }
  return { wanted: true, exclusive: given["exclusive"] === true, mode };
}
