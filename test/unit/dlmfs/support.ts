import type fc from "fast-check";

export const valueError = (message: RegExp): object => ({ name: "RangeError", code: "ERR_INVALID_ARG_VALUE", message });
export const typeError = (message: RegExp): object => ({ name: "TypeError", code: "ERR_INVALID_ARG_TYPE", message });
export const stateError = (code: string, message: RegExp): object => ({ name: "Error", code, message });

/** fast-check's parameters: $CLUSTERLOCK_SEED repeats what a failure has printed. */
export function runs(numRuns: number): fc.Parameters<unknown> {
  const seed = process.env["CLUSTERLOCK_SEED"];
  return { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) };
}
