// Names to look for. What dlmfs would not make is no mistake here, as long as it can be in a dump: an ocfs2 volume's are.

import { checkWellFormed } from "../../checks";
import { invalidType, invalidValue } from "../../errors";

/** fs/ocfs2/stackglue.h, GROUP_NAME_MAX. */
const DOMAIN_MAX = 64;
/** fs/ocfs2/dlmfs/userdlm.h, USER_DLM_LOCK_ID_MAX_LEN, with its NUL. */
const LOCK_MAX = 31;

/** @throws TypeError, RangeError */
export function checkDomain(name: unknown): string {
  return check(name, "name", DOMAIN_MAX);
}

/** @throws TypeError, RangeError */
export function checkLock(name: unknown): string {
  return check(name, "lockName", LOCK_MAX);
}

function check(name: unknown, argument: string, longest: number): string {
  if (typeof name !== "string") throw invalidType(argument, "a string", name);
  checkWellFormed(name, argument);
  const size = Buffer.byteLength(name);
  if (size === 0 || size > longest) throw invalidValue(argument, `is ${size} bytes long, and not 1 to ${longest}`);
  if (name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw invalidValue(argument, "must be what a file can be called: without '/' and NUL, neither '.' nor '..'");
  }
  return name;
}
