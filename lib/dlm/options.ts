import { invalidType, invalidValue } from "../errors";
import { LOCK_MODES, type LockMode, isLockMode } from "../modes";

import type { Lock } from "./lock";
import { type LvbOption, checkLvbOption } from "./lvb";

/**
 * Called when this lock stands in the way of another request; `mode` is the mode the other one asks for. A hint, not
 * an order: the kernel merges notices, and one may arrive just after the lock has given way.
 */
export type OnBlocking = (mode: LockMode, lock: Lock) => void;

export interface TryLockOptions {
  /** Default "EX". */
  mode?: LockMode | undefined;
  /**
   * `true`: read the 32-byte value block into `lock.lvb`. Bytes (at most 32, padded with zeros): read it too, and write
   * these when the kernel next writes, which is on the way down from PW or EX (a conversion or the release).
   */
  lvb?: boolean | Uint8Array | undefined;
  /** Asks the kernel for blocking notices. Without it none are sent. A lock that listens keeps the process alive. */
  onBlocking?: OnBlocking | undefined;
}

export interface LockOptions extends TryLockOptions {
  /**
   * Gives up waiting: the promise rejects with the signal's reason at once, the request is cancelled in the kernel, and
   * a grant that crosses the cancel is given back.
   */
  signal?: AbortSignal | undefined;
}

export interface ConvertOptions {
  /** As in {@link TryLockOptions}. `undefined`: go on as before; `false`: stop taking part in the value block. */
  lvb?: boolean | Uint8Array | undefined;
  /** A new listener; `null` stops the notices; `undefined` keeps what was. */
  onBlocking?: OnBlocking | null | undefined;
  /** As in {@link LockOptions}; the lock keeps its old mode. */
  signal?: AbortSignal | undefined;
}

export interface CheckedOptions {
  lvb: LvbOption | undefined;
  onBlocking: OnBlocking | null | undefined;
  signal: AbortSignal | undefined;
}

/** @throws TypeError, RangeError */
export function checkMode(mode: unknown, name: string): LockMode {
  if (isLockMode(mode)) return mode;
  if (typeof mode !== "string") throw invalidType(name, "a lock mode", mode);
  throw invalidValue(name, `is '${mode}', which is no lock mode; one of ${LOCK_MODES.join(", ")} is`);
}

/** @throws TypeError, RangeError */
export function checkObject(options: unknown): Record<string, unknown> {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null) throw invalidType("options", "an object", options);
  return options as Record<string, unknown>;
}

/** @throws TypeError */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw invalidType("options.signal", "an AbortSignal", signal);
}

/** What lock and convert have in common. @throws TypeError, RangeError */
export function checkOptions(options: unknown): CheckedOptions {
  const { lvb, onBlocking, signal } = checkObject(options);
  if (onBlocking !== undefined && onBlocking !== null && typeof onBlocking !== "function") {
    throw invalidType("options.onBlocking", "a function", onBlocking);
  }
  return {
    lvb: checkLvbOption(lvb),
    onBlocking: onBlocking as OnBlocking | null | undefined,
    signal: checkSignal(signal),
  };
}
