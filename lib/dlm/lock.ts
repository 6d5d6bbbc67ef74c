import { DlmError, LockStateError, invalidType, invalidValue } from "../errors";
import { LOCK_MODES, type LockMode, compatible, isDownConversion, modeNumber } from "../modes";

import { onAbort } from "../aborts";
import type { Acquirer, Request } from "./acquisition";
import { type Completion, ECANCEL, EUNLOCK } from "./channel";
import { LKF, SBF } from "./flags";
import type { Lkb } from "./lkb";
import type { ConvertOptions, OnBlocking, ReleaseOptions, TryConvertOptions } from "./lock-options";
import { checkLvbOption, unlockWrites } from "./lvb";
import { type Options, checkFlag, checkObject, checkSignal } from "../checks";
import { checkListener, checkMode, checkValueWish } from "./options";
import { OP, type Submission } from "./request-buffer";
import { type DeadlockAction, checkQueueable, conversionFlags, keptFlags } from "./request-flags";
import type { Rostered } from "./roster";
import { Turns } from "./turns";
import type { ValueBlock, ValuePart, ValueWish } from "./value";

export type { ConvertOptions, OnBlocking, ReleaseOptions, TryConvertOptions } from "./lock-options";
export type { DeadlockAction };

const ENOENT = -2;
const EAGAIN = -11;

/** Where a lock stands: see {@link Lock.state}. */
export type LockState = "granted" | "converting" | "releasing" | "released" | "lost" | "orphaned";

/** What a lock is made of; see Lockspace.lock(). */
export interface Grant {
  acquirer: Acquirer;
  request: Request;
  lkb: Lkb;
  lkid: number;
  value: ValueBlock;
}

/** A checked conversion. */
interface Wish {
  mode: LockMode;
  noQueue: boolean;
  /** LKF_* but those of the value block and those kept. */
  flags: number;
  persistent: boolean | undefined;
  value: ValueWish;
  onBlocking: OnBlocking | null | undefined;
  signal: AbortSignal | undefined;
}

/** Who waits for a conversion. */
interface Waiter {
  readonly granted: () => void;
  readonly refused: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * One lock, held. The object is the hold: it lasts until `release()`, the end of an `await using` block and, unless
 * it is persistent, the close of its lockspace handle or the end of the process, whichever comes first.
 */
export class Lock implements AsyncDisposable, Rostered {
  /** @internal */
  place = -1;
  readonly #grant: Grant;
  readonly #turns = new Turns();
  #mode: LockMode;
  #flags: number;
  #kept: number;
  #onBlocking: OnBlocking | undefined;
  // What of the value block a conversion in flight carries: LKF_*, or undefined when there is none in flight.
  #converting: number | undefined;
  #orphaned = false;
  #dropped = false;
  #releasing: Promise<void> | undefined;
  #gone = false;
  #lost: LockStateError | undefined;
  #lossSignal: AbortController | undefined;
  // Ends the conversion in flight with this reason, if the kernel lets it.
  #interrupt: ((reason: unknown) => void) | undefined;
  // Fails the conversion in flight, whatever the kernel still says.
  #abandon: ((error: unknown) => void) | undefined;

  /** @internal Locks come from {@link Lockspace.lock}. `flags`: DLM_SBF_* of the grant. */
  constructor(grant: Grant, mode: LockMode, flags: number) {
    this.#grant = grant;
    this.#mode = mode;
    this.#flags = flags;
    this.#kept = grant.request.kept;
  }

  /** The resource's name; bytes that are no UTF-8 show as U+FFFD. */
  get resource(): string {
    return this.#grant.request.resource;
  }

  /** The name of its lockspace. */
  get lockspace(): string {
    return this.#grant.acquirer.name;
  }

  /** The kernel's id of this lock on this node, 1 to 2^32-1. */
  get id(): number {
    return this.#grant.lkid;
  }

  /** The mode that the kernel has granted; after a release, the last one. */
  get mode(): LockMode {
    return this.#mode;
  }

  /**
   * "granted"; "converting" while the kernel has a conversion of it; "releasing" and then "released"; "lost" when the
   * handle lost its lockspace, and with it this lock; "orphaned" when it is persistent and its handle was closed.
   */
  get state(): LockState {
    if (this.#orphaned) return "orphaned";
    if (this.#lost) return "lost";
    if (this.#gone) return "released";
    if (this.#releasing) return "releasing";
    return this.#converting === undefined ? "granted" : "converting";
  }

  /** True once a release has begun. */
  get released(): boolean {
    return this.#releasing !== undefined;
  }

  /**
   * Aborts when the lock is lost without a release: its lockspace was removed by force, dlm_controld died, or its
   * device failed (`reason`: a LockStateError with ERR_LOCKSPACE_LOST). What the lock protected must be left alone from then
   * on. A release does not abort it.
   */
  get signal(): AbortSignal {
    this.#lossSignal ??= new AbortController();
    if (this.#lost && !this.#orphaned && !this.#lossSignal.signal.aborted) this.#lossSignal.abort(this.#lost);
    return this.#lossSignal.signal;
  }

  /**
   * The last conversion waited with `deadlock: "demote"`, and the kernel gave up the old mode to end a deadlock: others
   * may have had the resource meanwhile. Source: DLM_SBF_DEMOTED, fs/dlm/lock.c, `can_be_granted()`.
   */
  get demoted(): boolean {
    return (this.#flags & SBF.demoted) !== 0;
  }

  /** The kernel granted the alternative mode of `altMode`. Source: DLM_SBF_ALTMODE. */
  get altMode(): boolean {
    return (this.#flags & SBF.altMode) !== 0;
  }

  /** The lock outlives its handle, as an orphan. Source: DLM_LKF_PERSISTENT. */
  get persistent(): boolean {
    return (this.#kept & LKF.persistent) !== 0;
  }

  /** The 32 bytes last read or written; undefined before. A value that was never written reads as zeros. */
  get lvb(): Uint8Array | undefined {
    return this.#grant.value.lvb;
  }

  /**
   * False when the kernel flagged the value as not valid: a holder of PW or EX died, or invalidated it on purpose.
   * Undefined before any value was delivered. True does not prove that the last value written was kept: a node's
   * death, or a moment in which no lock at all stood on the resource, can leave zeros with no flag.
   * Source: fs/dlm/recover.c, `recover_lvb()`.
   */
  get lvbValid(): boolean | undefined {
    return this.#grant.value.valid;
  }

  /**
   * Changes the mode. Conversions of one lock run one after the other, in the order they were asked for. A conversion
   * downwards never waits for others; one upwards waits, and keeps the old mode meanwhile.
   *
   * An abort of a waiting up-conversion rejects at once with the signal's reason; if the kernel grants at that moment,
   * the lock is converted back. Where the way back could wait itself (PR to CW and CW to PR), the kernel's answer
   * decides: cancelled rejects, granted resolves. After an abort of one with `deadlock: "demote"` the lock is in NL.
   *
   * @throws {DlmError} EDEADLK when two locks wait for each other's conversion; the old mode is kept.
   * @throws {LockStateError} ERR_LOCK_RELEASED, ERR_LOCKSPACE_LOST
   * @throws {TypeError | RangeError} a wrong mode or option
   */
  convert(mode: LockMode, options?: ConvertOptions): Promise<this> {
    return new Promise((resolve, reject) => {
      this.#enter(this.#check(mode, options, false), {
        granted: () => {
          resolve(this);
        },
        refused: () => undefined,
        failed: reject,
      });
    });
  }

  /**
   * As {@link convert}, but resolves to false instead of waiting, with the old mode kept. Source: DLM_LKF_NOQUEUE.
   */
  tryConvert(mode: LockMode, options?: TryConvertOptions): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#enter(this.#check(mode, options, true), {
        granted: () => {
          resolve(true);
        },
        refused: () => {
          resolve(false);
        },
        failed: reject,
      });
    });
  }

  #check(mode: unknown, options: unknown, noQueue: boolean): Wish {
    const given = checkObject(options);
    const wish: Wish = {
      mode: checkMode(mode, "mode"),
      noQueue,
      flags: conversionFlags(given, noQueue),
      persistent: given["persistent"] === undefined ? undefined : (keptFlags(given) & LKF.persistent) !== 0,
      value: checkValueWish(given),
      onBlocking: checkListener(given["onBlocking"]),
      signal: noQueue ? undefined : checkSignal(given["signal"]),
    };
    this.#assertHeld();
    wish.signal?.throwIfAborted();
    return wish;
  }

  #enter(wish: Wish, waiter: Waiter): void {
    const start = (): void => {
      try {
        this.#assertHeld();
        this.#convert(wish, waiter);
      } catch (error) {
        waiter.failed(error);
        this.#turns.leave();
      }
    };
    this.#turns.enter(start, wish.signal, waiter.failed);
  }

  #convert(wish: Wish, waiter: Waiter): void {
    const { mode, signal } = wish;
    const from = this.#mode;
    checkQueueable(wish.flags, from, mode);
    const value = this.#grant.value.plan(from, mode, wish.value);
    const waits = !wish.noQueue && !isDownConversion(from, mode);
    const canGoBack = waits && isDownConversion(mode, from);
    // The kernel takes over a conversion's listener and flags even if the conversion then fails (dlm_user_convert());
    // but not from one that it refuses to take at all.
    const before = { onBlocking: this.#onBlocking, kept: this.#kept };
    if (wish.onBlocking !== undefined) this.listen(wish.onBlocking ?? undefined);
    if (wish.persistent !== undefined) {
      this.#kept = wish.persistent ? this.#kept | LKF.persistent : this.#kept & ~LKF.persistent;
    }
    let interruption: { reason: unknown } | undefined;
    let removeListener: (() => void) | undefined;
    const interrupt = (reason: unknown): void => {
      if (interruption) return;
      interruption = { reason };
      this.#grant.lkb.cancel();
      if (canGoBack) waiter.failed(reason);
    };
    if (waits) {
      if (signal) {
        removeListener = onAbort(signal, () => {
          interrupt(signal.reason);
        });
      }
      this.#interrupt = interrupt;
    }
    this.#converting = value.flags;
    this.#abandon = waiter.failed;
    const { lvb } = value;
    this.#grant.lkb.perform(this.#conversion(mode, wish.flags | value.flags, lvb), waits, (completion) => {
      this.#interrupt = undefined;
      this.#abandon = undefined;
      this.#converting = undefined;
      removeListener?.();
      if (completion.refused !== undefined && !this.#lost && !this.#releasing) {
        this.listen(before.onBlocking);
        this.#kept = before.kept;
      }
      this.#ended(wish, value, completion, waiter, interruption, canGoBack);
    });
  }

  #conversion(mode: LockMode, flags: number, lvb: Uint8Array | undefined): Submission {
    const { low, high } = this.#grant.request.xid;
    return {
      kind: OP.convert,
      mode: modeNumber(mode),
      flags: flags | this.#kept,
      bast: this.#onBlocking !== undefined,
      lvb,
      xidLow: low,
      xidHigh: high,
    };
  }

  #ended(
    wish: Wish,
    value: ValuePart,
    completion: Completion,
    waiter: Waiter,
    interruption: { reason: unknown } | undefined,
    canGoBack: boolean,
  ): void {
    const { status } = completion;
    if (status === 0 && !(interruption && canGoBack)) {
      value.done(completion);
      this.#mode = wish.mode;
      this.#flags = completion.flags;
      waiter.granted();
      this.#turns.leave();
      return;
    }
    value.failed();
    if (status === 0) {
      // The grant crossed the abort, which has been told.
      this.#goBack(this.#mode, wish.mode);
      return;
    }
    if (status === EAGAIN && wish.noQueue) waiter.refused();
    else if (status === EUNLOCK) waiter.failed(this.#releasedError());
    else if (status === ECANCEL && interruption) waiter.failed(interruption.reason);
    else waiter.failed(this.#failure("dlm_convert", completion));
    // A cancel wipes the kernel's word on whether it had already taken the old mode away (validate_unlock_args()).
    const mayBeDemoted = (wish.flags & LKF.convDeadlk) !== 0 && completion.refused === undefined;
    if (mayBeDemoted && status !== EUNLOCK && !this.#lost) this.#goBack("NL", "NL");
    else this.#turns.leave();
  }

  // Going down needs no permission of others and writes no value.
  #goBack(to: LockMode, granted: LockMode): void {
    this.#grant.lkb.perform(this.#conversion(to, 0, undefined), false, ({ status }) => {
      if (status === 0) {
        this.#grant.value.inheritsNothing();
        this.#mode = to;
        this.#flags = 0;
      }
      // Not even on the way down: then the truth is what is left to tell.
      else this.#mode = granted;
      this.#turns.leave();
    });
  }

  /**
   * Gives the lock back, and writes its value if there is one to write. A conversion that waits is given up first.
   * Safe to call more than once: every call waits for the one release. A lost lock has nothing to give back.
   *
   * While the lockspace is in recovery this waits with it.
   *
   * @throws {DlmError} ENOENT when the kernel does not know the lock any more; another errno when it did not take the
   *   request: the lock is held on, and may be released again
   * @throws {RangeError} ERR_INVALID_ARG_VALUE: `lvb` or `invalidateLvb` with a mode below PW, which cannot write. The lock
   *   is held on, unless a conversion under way took it there: then it is released, with nothing written
   */
  release(options?: ReleaseOptions): Promise<void> {
    try {
      const given = checkObject(options);
      const { lvb, invalidate } = this.#checkRelease(given);
      const force = checkFlag(given, "force");
      if (this.#lost) return Promise.resolve();
      if (force && !this.#releasing) return (this.#releasing = this.#forceRelease(lvb, invalidate));
      return (this.#releasing ??= this.#release(lvb, invalidate));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #checkRelease(given: Options): { lvb: Uint8Array | undefined; invalidate: boolean } {
    const lvb = checkLvbOption(given["lvb"]);
    if (typeof lvb === "boolean") throw invalidType("options.lvb", "a Uint8Array", lvb);
    const invalidate = checkFlag(given, "invalidateLvb");
    if (lvb && invalidate)
      throw invalidValue("options.lvb", "cannot be written by a release that invalidates the value");
    const held = !this.#releasing && !this.#lost;
    if ((lvb !== undefined || invalidate) && held && !unlockWrites(this.#mode)) throw this.#cannotWrite(invalidate);
    return { lvb, invalidate };
  }

  #release(lvb: Uint8Array | undefined, invalidate: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#interrupt?.(this.#releasedError());
      this.#turns.enter(() => {
        const listener = this.#onBlocking;
        if (listener) this.listen(undefined);
        // A conversion that was under way may have gone below the modes that write.
        const late = (lvb !== undefined || invalidate) && !unlockWrites(this.#mode);
        this.#unlock(late ? undefined : lvb, invalidate && !late, (error) => {
          if (error !== undefined) {
            if (!this.#gone && !this.#lost) this.listen(listener);
            reject(error);
          } else if (late) reject(this.#cannotWrite(invalidate));
          else resolve();
          this.#turns.leave();
        });
      });
    });
  }

  // Conversions in flight and in line end with the lock: one message, where a release sends a cancel and waits for it.
  #forceRelease(lvb: Uint8Array | undefined, invalidate: boolean): Promise<void> {
    const converting = this.#converting;
    if (converting === undefined) return this.#release(lvb, invalidate);
    return new Promise((resolve, reject) => {
      const plan = this.#grant.value.planRelease(this.#mode, lvb, invalidate);
      // An unlock by force takes no detour for the value, and may overtake the reading of the conversion's grant: what it
      // would inherit from that or from before is made invalid rather than written.
      const inherits = plan.prepare !== undefined || (converting !== 0 && plan.lvb === undefined);
      const flags = inherits ? LKF.ivValBlk : plan.flags;
      const listener = this.#onBlocking;
      if (listener) this.listen(undefined);
      const submission = { kind: OP.unlock, flags: flags | LKF.forceUnlock, lvb: plan.lvb };
      this.#grant.lkb.force(submission, (completion) => {
        this.#unlocked(completion, (error) => {
          if (error === undefined) resolve();
          else {
            if (!this.#gone) this.listen(listener);
            reject(error);
          }
        });
      });
    });
  }

  #unlock(lvb: Uint8Array | undefined, invalidate: boolean, done: (error?: Error) => void): void {
    const { lkb, value } = this.#grant;
    const plan = value.planRelease(this.#mode, lvb, invalidate);
    const unlock = (unwritten?: DlmError): void => {
      lkb.perform({ kind: OP.unlock, flags: plan.flags, lvb: plan.lvb }, false, (completion) => {
        if (invalidate && completion.status === EUNLOCK) value.valid = false;
        this.#unlocked(completion, (error) => {
          done(error ?? unwritten);
        });
      });
    };
    if (!plan.prepare) {
      unlock();
      return;
    }
    const store = plan.prepare === "store";
    const submission = this.#conversion(store ? this.#mode : "NL", store ? LKF.valBlk : 0, plan.lvb);
    lkb.perform({ ...submission, bast: false }, false, (completion) => {
      if (completion.status === 0) {
        value.inheritsNothing();
        if (!store) this.#mode = "NL";
        unlock();
      } else if (store) {
        unlock(this.#failure("dlm_convert", completion));
      } else {
        // an unlock now would write what nobody gave
        this.#unlocked(completion, done);
      }
    });
  }

  #unlocked(completion: Completion, done: (error?: Error) => void): void {
    const { status } = completion;
    if (this.#lost || this.#dropped) {
      this.#end();
      done();
      return;
    }
    if (status !== EUNLOCK && status !== ENOENT) {
      // It is still there, and so may be tried again.
      this.#releasing = undefined;
      done(this.#failure("dlm_unlock", completion));
      return;
    }
    this.#end();
    done(status === ENOENT ? this.#failure("dlm_unlock", completion) : undefined);
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#grant.lkb.free();
    this.#grant.acquirer.onReleased(this);
  }

  /** @internal The handle has lost its lockspace; `tellLoss()` follows when all its locks know. */
  lose(reason: LockStateError): void {
    if (this.#lost || this.#gone) return;
    this.#lost = reason;
    this.#abandon?.(reason);
    if (this.#onBlocking) this.listen(undefined);
  }

  /** @internal Who listens may use other locks of the handle. */
  tellLoss(): void {
    this.#lossSignal?.abort(this.#lost);
  }

  /** @internal The handle is closed, and this lock stays behind in the kernel. */
  orphan(reason: LockStateError): void {
    this.#orphaned = true;
    this.lose(reason);
  }

  /** @internal Part of a drop of all locks: `dropped` says when, and whether the kernel did it. */
  leaveTo(dropped: Promise<boolean>): Promise<void> {
    const before = this.#releasing;
    if (before) {
      // The answer to its unlock may have been dropped along.
      void dropped.then((done) => {
        if (done) this.#drop();
      });
      return before.catch(() => undefined);
    }
    const listener = this.#onBlocking;
    if (listener) this.listen(undefined);
    this.#releasing = dropped.then((done) => {
      if (done) {
        this.#drop();
        this.#end();
        return undefined;
      }
      this.#releasing = undefined;
      this.listen(listener);
      return this.release();
    });
    return this.#releasing;
  }

  // Nothing of it is left in the kernel, and what it still asks for has come true.
  #drop(): void {
    this.#dropped = true;
    this.#grant.lkb.drop();
  }

  /** @internal */
  listen(listener: OnBlocking | undefined): void {
    const { lkb } = this.#grant;
    const { channel } = this.#grant.acquirer;
    if ((listener === undefined) !== (this.#onBlocking === undefined)) channel.listen(listener ? 1 : -1);
    this.#onBlocking = listener;
    lkb.onBlockingMode =
      listener &&
      ((mode) => {
        this.#blocked(mode);
      });
  }

  #blocked(number: number): void {
    const mode = LOCK_MODES[number];
    // A notice in flight when the lock gave way: it blocks nobody any more.
    if (mode === undefined || this.#releasing || compatible(this.#mode, mode)) return;
    this.#onBlocking?.(mode, this);
  }

  #assertHeld(): void {
    if (this.#lost) throw this.#lost;
    if (this.#releasing) throw this.#releasedError();
  }

  #releasedError(): LockStateError {
    return new LockStateError("ERR_LOCK_RELEASED", `The lock on '${this.resource}' has been released`);
  }

  #cannotWrite(invalidate: boolean): RangeError {
    const mode = this.#mode;
    if (invalidate)
      return invalidValue("options.invalidateLvb", `has no effect from mode ${mode}; only PW and EX write`);
    return invalidValue("options.lvb", `cannot be written from mode ${mode}; only PW and EX write`);
  }

  #failure(syscall: string, completion: Completion): DlmError {
    const { lkid } = this.#grant;
    const { lockspace, resource } = this;
    return new DlmError({ errno: completion.status, syscall, lockspace, resource, lkid });
  }
}
