import { invalidValue } from "../errors";
import type { LockMode } from "../modes";

import type { Completion } from "./channel";
import { LKF, SBF } from "./flags";
import { LVB_SIZE, type LvbOption, lvbDirection, unlockWrites } from "./lvb";

/** The value block's part in one operation. */
export interface ValuePart {
  /** LKF.valBlk or LKF.ivValBlk, or 0. */
  flags: number;
  lvb: Uint8Array | undefined;
  /** Takes over what the operation did, once it has succeeded. */
  done(completion: Completion): void;
  /** To be called when it has failed, or was undone. */
  failed(): void;
}

/** What a release has to do for the value: first a conversion, or none, then the unlock. */
export interface ReleasePlan {
  /** "store": to the same mode, which writes `lvb`. "drop": to NL, which writes nothing. */
  prepare: "store" | "drop" | undefined;
  flags: number;
  lvb: Uint8Array | undefined;
}

/** What the caller wants of the value in one operation. */
export interface ValueWish {
  lvb: LvbOption | undefined;
  invalidate: boolean;
}

const nothing = (): void => undefined;
/** No part in it, before or after. */
const NO_PART: ValuePart = { flags: 0, lvb: undefined, done: nothing, failed: nothing };
const PLAIN_RELEASE: ReleasePlan = { prepare: undefined, flags: 0, lvb: undefined };

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
  // What the last operation carried, which an unlock inherits.
  #inherited = 0;

  /**
   * Prepares a request (`from` undefined) or a conversion.
   * @throws RangeError when an invalidation is wanted of a conversion that does not write
   */
  plan(from: LockMode | undefined, to: LockMode, { lvb, invalidate }: ValueWish): ValuePart {
    if (lvb === undefined && !invalidate && !this.#takesPart && this.#inherited === 0) return NO_PART;
    const direction = lvbDirection(from, to);
    if (invalidate) return this.#planInvalidation(from, direction);
    const takesPart = lvb === undefined ? this.#takesPart : lvb !== false;
    const toWrite = lvb instanceof Uint8Array ? lvb : lvb === false ? undefined : this.#toWrite;
    if (!takesPart || (direction === "write" && !toWrite)) return this.#planNothing(takesPart, toWrite, direction);
    return {
      flags: LKF.valBlk,
      lvb: direction === "write" ? toWrite : undefined,
      done: (completion) => {
        // a conversion that lost its old mode on the way came from NL
        const demoted = (completion.flags & SBF.demoted) !== 0;
        const actual = demoted ? lvbDirection("NL", to) : direction;
        this.#settle(LKF.valBlk, takesPart, actual === "write" ? undefined : toWrite);
        this.#deliver(actual === "write" ? toWrite : undefined, actual === "read", completion);
      },
      failed: () => {
        this.#leftBehind(LKF.valBlk);
      },
    };
  }

  #planNothing(takesPart: boolean, toWrite: Uint8Array | undefined, direction: string): ValuePart {
    return {
      flags: 0,
      lvb: undefined,
      done: () => {
        this.#settle(0, takesPart, direction === "write" ? undefined : toWrite);
      },
      failed: () => undefined,
    };
  }

  #planInvalidation(from: LockMode | undefined, direction: string): ValuePart {
    if (direction !== "write") {
      throw invalidValue(
        "options.invalidateLvb",
        `needs a conversion on the way down from PW or EX; ${from ?? "a new lock"} writes nothing here`,
      );
    }
    return {
      flags: LKF.ivValBlk,
      lvb: undefined,
      done: () => {
        this.#settle(LKF.ivValBlk, this.#takesPart, undefined);
        this.valid = false;
      },
      failed: () => {
        this.#leftBehind(LKF.ivValBlk);
      },
    };
  }

  #settle(carried: number, takesPart: boolean, toWrite: Uint8Array | undefined): void {
    this.#takesPart = takesPart;
    this.#inherited = carried;
    this.#hasBuffer ||= carried === LKF.valBlk;
    this.#toWrite = toWrite;
  }

  // The kernel keeps the flags of a conversion that it queued, even if that is cancelled (validate_lock_args()).
  #leftBehind(carried: number): void {
    this.#inherited |= carried;
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

  /** An operation without flags has gone by: an unlock inherits nothing. */
  inheritsNothing(): void {
    this.#inherited = 0;
  }

  /** An adopted lock takes part from its next operation on: the kernel brings no value along with it. */
  join(lvb: LvbOption | undefined): void {
    this.#takesPart = lvb !== undefined && lvb !== false;
    this.#toWrite = lvb instanceof Uint8Array ? lvb : undefined;
  }

  /** What a release from `mode` has to do, in order. */
  planRelease(mode: LockMode, value: Uint8Array | undefined, invalidate: boolean): ReleasePlan {
    if (!unlockWrites(mode)) return PLAIN_RELEASE;
    if (invalidate) return { prepare: undefined, flags: LKF.ivValBlk, lvb: undefined };
    const lvb = value ?? this.#toWrite;
    if (lvb) {
      const clean = this.#hasBuffer && (this.#inherited & LKF.ivValBlk) === 0;
      return { prepare: clean ? undefined : "store", flags: LKF.valBlk, lvb };
    }
    return this.#inherited === 0 ? PLAIN_RELEASE : { prepare: "drop", flags: 0, lvb: undefined };
  }
}
