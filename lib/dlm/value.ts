import type { LockMode } from "../modes";

import type { Completion } from "./channel";
import { LKF, SBF } from "./flags";
import { LVB_SIZE, type LvbOption, lvbDirection, unlockWrites } from "./lvb";

/** The value block's part in one operation. */
export interface ValuePart {
  /** LKF.valBlk or 0. */
  flags: number;
  lvb: Uint8Array | undefined;
  /** Takes over what the operation did, once it has succeeded. */
  done(completion: Completion): void;
  /** To be called when it has failed, or was undone. */
  failed(): void;
}

/**
 * What one lock knows of its resource's value block, and what it wants written.
 *
 * The kernel copies the request's value block into the lock before it does anything else, and hands the same bytes
 * back when the resource has no value yet (fs/dlm/lock.c:dlm_user_convert(), set_lvb_lock()). So a request that reads
 * carries zeros, and one that writes carries VALBLK only if there is something to write: a write that nobody asked for
 * would replace the value and hide that it was invalid.
 */
export class ValueBlock {
  /** The bytes last read or written. */
  lvb: Uint8Array | undefined;
  /** Whether `lvb` is the resource's value; undefined before any was delivered. */
  valid: boolean | undefined;
  #takesPart = false;
  #toWrite: Uint8Array | undefined;
  // The kernel's lock has a buffer for the value: without one it drops what an unlock brings.
  #hasBuffer = false;
  // The last operation carried VALBLK, which an unlock inherits.
  #inherited = false;

  /** Prepares a request (`from` undefined) or a conversion. */
  plan(from: LockMode | undefined, to: LockMode, option: LvbOption | undefined): ValuePart {
    const takesPart = option === undefined ? this.#takesPart : option !== false;
    const toWrite = option instanceof Uint8Array ? option : option === false ? undefined : this.#toWrite;
    const direction = lvbDirection(from, to);
    const settle = (valBlk: boolean): void => {
      this.#takesPart = takesPart;
      this.#inherited = valBlk;
      this.#hasBuffer ||= valBlk;
      this.#toWrite = direction === "write" ? undefined : toWrite;
    };
    if (!takesPart || (direction === "write" && !toWrite)) {
      return {
        flags: 0,
        lvb: undefined,
        done: () => {
          settle(false);
        },
        failed: () => undefined,
      };
    }
    return {
      flags: LKF.valBlk,
      lvb: direction === "write" ? toWrite : undefined,
      done: (completion) => {
        settle(true);
        this.#deliver(direction === "write" ? toWrite : undefined, direction === "read", completion);
      },
      // The kernel keeps the flags of a conversion that it queued, even if that is cancelled (validate_lock_args()).
      failed: () => {
        this.#inherited = true;
      },
    };
  }

  #deliver(written: Uint8Array | undefined, read: boolean, completion: Completion): void {
    const invalid = (completion.flags & SBF.valNotValid) !== 0;
    if (written) this.lvb = written.slice();
    else if (read) this.lvb = completion.lvb ?? new Uint8Array(LVB_SIZE);
    if (invalid) this.valid = false;
    else if (written !== undefined || read) this.valid = true;
  }

  /** Nothing is to be written any more. */
  forget(): void {
    this.#toWrite = undefined;
  }

  /** An operation without VALBLK has gone by: an unlock inherits nothing. */
  inheritsNothing(): void {
    this.#inherited = false;
  }

  /** What a release from `mode` has to do, in order. */
  planRelease(
    mode: LockMode,
    value: Uint8Array | undefined,
  ): { prepare: "store" | "drop" | undefined; lvb: Uint8Array | undefined } {
    if (!unlockWrites(mode)) return { prepare: undefined, lvb: undefined };
    const lvb = value ?? this.#toWrite;
    if (lvb) return { prepare: this.#hasBuffer ? undefined : "store", lvb };
    return { prepare: this.#inherited ? "drop" : undefined, lvb: undefined };
  }
}
