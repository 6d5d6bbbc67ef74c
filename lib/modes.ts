/**
 * A lock mode of the DLM, weakest first: NL (null), CR (concurrent read), CW (concurrent write), PR (protected read),
 * PW (protected write), EX (exclusive). Source: include/uapi/linux/dlmconstants.h.
 */
export type LockMode = "NL" | "CR" | "CW" | "PR" | "PW" | "EX";

/** All modes; the index of a mode is the kernel's number for it (DLM_LOCK_NL = 0 … DLM_LOCK_EX = 5). */
export const LOCK_MODES: readonly LockMode[] = ["NL", "CR", "CW", "PR", "PW", "EX"];

export function isLockMode(value: unknown): value is LockMode {
  return LOCK_MODES.includes(value as LockMode);
}

/** The kernel's number for a mode. */
export function modeNumber(mode: LockMode): number {
  return LOCK_MODES.indexOf(mode);
}

// Rows and columns in the order of LOCK_MODES. fs/dlm/lock.c:__dlm_compat_matrix.
const COMPATIBLE: readonly string[] = ["111111", "111110", "111000", "110100", "110000", "100000"];

/** Whether two locks on one resource can be granted at once. Source: fs/dlm/lock.c, `__dlm_compat_matrix`. */
export function compatible(a: LockMode, b: LockMode): boolean {
  return COMPATIBLE[modeNumber(a)]?.[modeNumber(b)] === "1";
}

/** Whether every mode that `from` lets in is also let in by `to`: such a conversion is granted without waiting. */
export function isDownConversion(from: LockMode, to: LockMode): boolean {
  return LOCK_MODES.every((other) => !compatible(from, other) || compatible(to, other));
}
