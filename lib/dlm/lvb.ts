import { invalidType, invalidValue } from "../errors";
import { type LockMode, modeNumber } from "../modes";

/** Size of a lock value block in bytes: DLM_USER_LVB_LEN. */
export const LVB_SIZE = 32;

/** What the kernel does with the value block on the way from one mode to another. */
export type LvbDirection = "read" | "write" | "none";

// r = resource to caller, w = caller to resource, - = nothing. Rows: granted mode, first row a new lock; columns:
// requested mode. fs/dlm/lock.c:dlm_lvb_operations.
const OPERATIONS: readonly string[] = ["rrrrrr", "rrrrrr", "-rrrrr", "--rrrr", "---rrr", "wwwwwr", "wwwwww"];
const DIRECTIONS: Readonly<Record<string, LvbDirection>> = { r: "read", w: "write" };

/** `from` is undefined for a new lock. Source: fs/dlm/lock.c, `dlm_lvb_operations`. */
export function lvbDirection(from: LockMode | undefined, to: LockMode): LvbDirection {
  const row = from === undefined ? 0 : modeNumber(from) + 1;
  return DIRECTIONS[OPERATIONS[row]?.[modeNumber(to)] ?? "-"] ?? "none";
}

/** Whether an unlock from this mode writes a value. Source: fs/dlm/lock.c, `set_lvb_unlock()`. */
export function unlockWrites(mode: LockMode): boolean {
  return mode === "PW" || mode === "EX";
}

/** `true` reads the value, `false` leaves it alone, bytes are read over and written when the kernel next writes. */
export type LvbOption = boolean | Uint8Array;

/**
 * A private copy of what was given; bytes are padded with zeros to 32.
 * @throws TypeError, RangeError
 */
export function checkLvbOption(lvb: unknown): LvbOption | undefined {
  if (lvb === undefined || typeof lvb === "boolean") return lvb;
  if (!(lvb instanceof Uint8Array)) throw invalidType("options.lvb", "a boolean or a Uint8Array", lvb);
  if (lvb.length > LVB_SIZE) {
    throw invalidValue("options.lvb", `is ${lvb.length} bytes long; a value block has ${LVB_SIZE}`);
  }
  const block = new Uint8Array(LVB_SIZE);
  block.set(lvb);
  return block;
}
