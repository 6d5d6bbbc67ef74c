import { DlmError, LockStateError, invalidType, invalidValue } from "../errors";
import { type LockMode, compatible, isDownConversion, modeNumber, LOCK_MODES } from "../modes";

import { onAbort } from "./aborts";
import { type Channel, type Completion, ECANCEL, EUNLOCK, OP } from "./channel";
import { LKF } from "./flags";
import type { Lkb } from "./lkb";
import { checkLvbOption, unlockWrites } from "./lvb";
import { type CheckedOptions, checkMode, checkObject, checkOptions } from "./options";
import { Turns } from "./turns";
import type { ValueBlock } from "./value";

/**
 * Called when this lock stands in the way of another request; `mode` is the mode the other one asks for. A hint, not
 * an order: the kernel merges notices, and one may arrive just after the lock has given way.
 */
export type OnBlocking = (mode: LockMode, lock: Lock) => void;

export interface ConvertOptions {
  /** As in {@link Lockspace.tryLock}. `undefined`: go on as before; `false`: stop taking part in the value block. */
  lvb?: boolean | Uint8Array | undefined;
  /** A new listener; `null` stops the notices; `undefined` keeps what was. */
  onBlocking?: OnBlocking | null | undefined;
  /** As in {@link Lockspace.lock}; the lock keeps its old mode. */
  signal?: AbortSignal | undefined;
}

export interface ReleaseOptions {
  /** Written by the release; the lock must be held in PW or EX. At most 32 bytes, padded with zeros. */
  lvb?: Uint8Array | undefined;
}

const ENOENT = -2;

/** What a lock is made of; see Lockspace.lock(). */
export interface Grant {
  channel: Channel;
  lkb: Lkb;
  lkid: number;
  lockspace: string;
  resource: string;
  mode: LockMode;
  value: ValueBlock;
  onBlocking: OnBlocking | undefined;
  onReleased: (lock: Lock) => void;
}

/**
 * One lock, held. The object is the hold: it lasts until `release()`, the end of an `await using` block, the close of
 * its lockspace handle or the end of the process, whichever comes first.
 */
export class Lock implements AsyncDisposable {
  readonly #grant: Grant;
  readonly #turns = new Turns();
  #mode: LockMode;
  #onBlocking: OnBlocking | undefined;
  #releasing: Promise<void> | undefined;
  // Ends the conversion in flight with this reason, if the kernel lets it.
  #interrupt: ((reason: unknown) => void) | undefined;

  /** @internal Locks come from {@link Lockspace.lock}. */
  constructor(grant: Grant) {
    this.#grant = grant;
    this.#mode = grant.mode;
    this.#listen(grant.onBlocking);
  }

  /** The resource's name; bytes that are no UTF-8 show as U+FFFD. */
  get resource(): string {
    return this.#grant.resource;
  }

  /** The kernel's id of this lock on this node, 1 to 2^32-1. */
  get id(): number {
    return this.#grant.lkid;
  }

  /** The mode that the kernel has granted; after a release, the last one. */
  get mode(): LockMode {
    return this.#mode;
  }

  /** True once a release has begun. */
  get released(): boolean {
    return this.#releasing !== undefined;
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
   * decides: cancelled rejects, granted resolves.
   *
   * @throws {DlmError} EDEADLK when two locks wait for each other's conversion; the old mode is kept.
   * @throws {LockStateError} ERR_LOCK_RELEASED
   * @throws {TypeError | RangeError} a wrong mode or option
   */
  async convert(mode: LockMode, options?: ConvertOptions): Promise<this> {
    checkMode(mode, "mode");
    const checked = checkOptions<OnBlocking>(options);
    this.#assertHeld();
    const endTurn = await this.#turns.enter(checked.signal);
    try {
      this.#assertHeld();
      checked.signal?.throwIfAborted();
    } catch (error) {
      endTurn();
      throw error;
    }
    return this.#convert(mode, checked, endTurn);
  }

  #convert(mode: LockMode, options: CheckedOptions<OnBlocking>, endTurn: () => void): Promise<this> {
    const { signal } = options;
    const from = this.#mode;
    const waits = !isDownConversion(from, mode);
    const canGoBack = waits && isDownConversion(mode, from);
    // The kernel takes over a conversion's listener even if the conversion then fails (dlm_user_convert()).
    if (options.onBlocking !== undefined) this.#listen(options.onBlocking ?? undefined);
    const value = this.#grant.value.plan(from, mode, options.lvb);

    return new Promise((resolve, reject) => {
      let interruption: { reason: unknown } | undefined;
      const interrupt = (reason: unknown): void => {
        if (interruption) return;
        interruption = { reason };
        this.#grant.lkb.cancel();
        if (canGoBack) reject(reason);
      };
      let removeListener = (): void => undefined;
      if (waits) {
        removeListener = onAbort(signal, () => {
          interrupt(signal?.reason);
        });
        this.#interrupt = interrupt;
      }
      let crossed = false;
      const onOutcome = (completion: Completion): void => {
        this.#interrupt = undefined;
        removeListener();
        crossed = completion.status === 0 && interruption !== undefined && canGoBack;
        if (completion.status === 0 && !crossed) {
          value.done(completion);
          this.#mode = mode;
          resolve(this);
          return;
        }
        value.failed();
        if (interruption && completion.status === ECANCEL) reject(interruption.reason);
        else if (!crossed) reject(this.#failure("dlm_convert", completion));
      };
      const submission = {
        kind: OP.convert,
        mode: modeNumber(mode),
        flags: value.flags,
        bast: this.#onBlocking !== undefined,
        lvb: value.lvb,
      };
      void this.#grant.lkb
        .perform(submission, waits, onOutcome)
        .then(() => (crossed ? this.#goBack(from, mode) : undefined))
        .finally(endTurn);
    });
  }

  // The grant crossed the abort. Going back down needs no permission of others and writes no value.
  async #goBack(from: LockMode, granted: LockMode): Promise<void> {
    const bast = this.#onBlocking !== undefined;
    const submission = { kind: OP.convert, mode: modeNumber(from), flags: 0, bast };
    const completion = await this.#grant.lkb.perform(submission, false);
    if (completion.status === 0) this.#grant.value.inheritsNothing();
    // Not even on the way down: then the truth is what is left to tell.
    else this.#mode = granted;
  }

  /**
   * Gives the lock back, and writes its value if there is one to write. A conversion that waits is given up first.
   * Safe to call more than once: every call waits for the one release.
   *
   * While the lockspace is in recovery this waits with it.
   *
   * @throws {DlmError} ENOENT when the kernel does not know the lock any more; another errno when it did not take the
   *   request: the lock is held on, and may be released again
   * @throws {RangeError} ERR_INVALID_ARG_VALUE: `lvb` with a mode below PW, which cannot write
   */
  async release(options?: ReleaseOptions): Promise<void> {
    const lvb = checkLvbOption(checkObject(options)["lvb"]);
    if (typeof lvb === "boolean") throw invalidType("options.lvb", "a Uint8Array", lvb);
    if (lvb && !this.#releasing && !unlockWrites(this.#mode)) throw this.#cannotWrite();
    await (this.#releasing ??= this.#release(lvb));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  async #release(lvb: Uint8Array | undefined): Promise<void> {
    this.#interrupt?.(this.#releasedError());
    const endTurn = await this.#turns.enter();
    try {
      this.#listen(undefined);
      // A conversion that was under way may have gone below the modes that write.
      const late = lvb !== undefined && !unlockWrites(this.#mode);
      const unwritten = await this.#unlock(late ? undefined : lvb);
      if (late) throw this.#cannotWrite();
      if (unwritten) throw this.#failure("dlm_convert", unwritten);
    } finally {
      endTurn();
    }
  }

  // Returns what became of the value, if it could not be written.
  async #unlock(lvb: Uint8Array | undefined): Promise<Completion | undefined> {
    const { lkb, value, onReleased } = this.#grant;
    const plan = value.planRelease(this.#mode, lvb);
    let unwritten: Completion | undefined;
    if (plan.prepare) {
      const mode = plan.prepare === "store" ? this.#mode : "NL";
      const flags = plan.prepare === "store" ? LKF.valBlk : 0;
      const submission = { kind: OP.convert, mode: modeNumber(mode), flags, bast: false, lvb: plan.lvb };
      const completion = await lkb.perform(submission, false);
      if (completion.status !== 0) unwritten = completion;
    }
    const flags = plan.lvb ? LKF.valBlk : 0;
    const completion = await lkb.perform({ kind: OP.unlock, mode: 0, flags, bast: false, lvb: plan.lvb }, false);
    if (completion.status !== EUNLOCK && completion.status !== ENOENT) {
      // It is still there, and so may be tried again.
      this.#releasing = undefined;
      throw this.#failure("dlm_unlock", completion);
    }
    lkb.free();
    onReleased(this);
    if (completion.status === ENOENT) throw this.#failure("dlm_unlock", completion);
    return unwritten;
  }

  #listen(listener: OnBlocking | undefined): void {
    const { channel, lkb } = this.#grant;
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
    if (this.#releasing) throw this.#releasedError();
  }

  #releasedError(): LockStateError {
    return new LockStateError("ERR_LOCK_RELEASED", `The lock on '${this.resource}' has been released`);
  }

  #cannotWrite(): RangeError {
    return invalidValue("options.lvb", `cannot be written from mode ${this.#mode}; only PW and EX write`);
  }

  #failure(syscall: string, completion: Completion): DlmError {
    const { lockspace, resource, lkid } = this.#grant;
    return new DlmError({ errno: completion.status, syscall, lockspace, resource, lkid });
  }
}
