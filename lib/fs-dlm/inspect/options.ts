import { invalidType, invalidValue } from "../../errors";
import { checkObject } from "../../checks";

/** Options of what asks dlm_controld. */
export interface ControldOptions {
  /** How long dlm_controld may take over each answer, in milliseconds. Default 5000. */
  timeout?: number | undefined;
}

// The longest that a timer can wait.
const TIMEOUT_MAX = 2 ** 31 - 1;

/** @throws TypeError, RangeError */
export function checkTimeout(options: unknown, usual: number): number {
  const { timeout = usual } = checkObject(options);
  if (typeof timeout !== "number") throw invalidType("options.timeout", "a number", timeout);
  if (!(timeout >= 1 && timeout <= TIMEOUT_MAX)) {
    throw invalidValue("options.timeout", `is ${timeout}, and not between 1 and ${TIMEOUT_MAX} milliseconds`);
  }
  return timeout;
}
