// The kernel's tables, written down a second time: a model that asked the library for them would agree with its mistakes.

export const MODES = ["NL", "CR", "CW", "PR", "PW", "EX"] as const;
export type ModeName = (typeof MODES)[number];

/** DLM_LOCK_IV and the modes by number, as the kernel's dumps have them. */
export const IV = -1;
export const NL = 0;
export const CR = 1;
export const CW = 2;
export const PR = 3;
export const PW = 4;
export const EX = 5;

export function modeNumber(name: ModeName): number {
  return MODES.indexOf(name);
}

export function modeName(mode: number): string {
  return mode === IV ? "--" : (MODES[mode] ?? `?${mode}`);
}

function lookUp(table: readonly string[], row: number, column: number): string {
  const found = table[row]?.[column];
  if (found === undefined) throw new RangeError(`there is no entry ${row}, ${column}`);
  return found;
}

// Rows and columns: IV, NL, CR, CW, PR, PW, EX. fs/dlm/lock.c, __dlm_compat_matrix.
const COMPATIBLE = ["1111111", "1111111", "1111110", "1111000", "1110100", "1110000", "1100000"];

export function compatible(granted: number, requested: number): boolean {
  return lookUp(COMPATIBLE, granted + 1, requested + 1) === "1";
}

// fs/dlm/lock.c, __quecvt_compat_matrix.
const MAY_QUEUE = ["0000000", "0011111", "0001111", "0000111", "0001011", "0000001", "0000000"];

/** Whether a conversion may be asked to queue in order: another pair is EINVAL and a WARN in the kernel. */
export function mayQueueConversion(from: number, to: number): boolean {
  return lookUp(MAY_QUEUE, from + 1, to + 1) === "1";
}

export type Direction = "read" | "write" | "none";

// r = resource to caller, w = caller to resource. fs/dlm/lock.c, dlm_lvb_operations.
const VALUE = ["-rrrrrr", "-rrrrrr", "--rrrrr", "---rrrr", "----rrr", "-wwwwwr", "-wwwwww"];

/** What becomes of the value block on the way from one mode to another; a new lock comes from IV. */
export function valueDirection(from: number, to: number): Direction {
  const word = lookUp(VALUE, from + 1, to + 1);
  return word === "r" ? "read" : word === "w" ? "write" : "none";
}

/** fs/dlm/lock.c, set_lvb_unlock(). */
export function unlockWrites(mode: number): boolean {
  return mode >= PW;
}

/** Whether whatever is compatible with `from` is so with `to`: such a conversion cannot be made to wait. */
export function goesDown(from: number, to: number): boolean {
  return MODES.every((_, other) => !compatible(from, other) || compatible(to, other));
}
