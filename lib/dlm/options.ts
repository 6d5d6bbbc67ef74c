import { type Options, checkFlag, checkUint32 } from "../checks";
import { invalidType, invalidValue } from "../errors";
import { LOCK_MODES, type LockMode, isLockMode } from "../modes";

import type { OnBlocking } from "./lock-options";
import { checkLvbOption } from "./lvb";
import type { ValueWish } from "./value";

/** @throws TypeError, RangeError */
export function checkMode(mode: unknown, name: string): LockMode {
  if (isLockMode(mode)) return mode;
  if (typeof mode !== "string") throw invalidType(name, "a lock mode", mode);
  throw invalidValue(name, `is '${mode}', which is no lock mode; one of ${LOCK_MODES.join(", ")} is`);
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
