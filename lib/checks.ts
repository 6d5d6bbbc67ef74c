// Checks of what callers pass, the same for every room: Node's own error classes and codes.

import { invalidType, invalidValue } from "./errors";

export type Options = Record<string, unknown>;

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

/** @throws TypeError, RangeError */
export function checkUint32(value: unknown, name: string): number {
  if (typeof value !== "number") throw invalidType(name, "a number", value);
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw invalidValue(name, `is ${value}; a whole number of 0 to 2^32-1 is expected`);
  }
  return value;
}

/**
 * A lone surrogate has no UTF-8: all of them would become the same replacement character, and so the same name.
 * @throws RangeError
 */
export function checkWellFormed(name: string, argument: string): void {
  if (Buffer.from(name).toString() !== name) throw invalidValue(argument, "is not well-formed Unicode");
}
