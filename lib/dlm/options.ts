import { invalidType, invalidValue } from "../errors";
import { LOCK_MODES, type LockMode, isLockMode } from "../modes";

import { type LvbOption, checkLvbOption } from "./lvb";

/** The options that lock and convert have in common, checked; what a listener takes is its owner's affair. */
export interface CheckedOptions<Listener> {
  lvb: LvbOption | undefined;
  onBlocking: Listener | null | undefined;
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

/** @throws TypeError, RangeError */
export function checkOptions<Listener>(options: unknown): CheckedOptions<Listener> {
  const { lvb, onBlocking, signal } = checkObject(options);
  if (onBlocking !== undefined && onBlocking !== null && typeof onBlocking !== "function") {
    throw invalidType("options.onBlocking", "a function", onBlocking);
  }
  return {
    lvb: checkLvbOption(lvb),
    onBlocking: onBlocking as Listener | null | undefined,
    signal: checkSignal(signal),
  };
}
