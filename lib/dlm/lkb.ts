import { type Channel, type Completion, OP, type SlotOwner, type Submission } from "./channel";

/**
 * One lock as the kernel knows it (its "lkb"): one operation at a time, each with exactly one outcome.
 *
 * A cancel has no outcome of its own. It is sent at most once for an operation, because the kernel answers a second
 * one with a WARN (fs/dlm/lock.c:validate_unlock_args()).
 */
export class Lkb implements SlotOwner {
  readonly #channel: Channel;
  readonly #slot: number;
  #settle: ((completion: Completion) => void) | undefined;
  #cancellable = false;
  #onBlocking: ((mode: number) => void) | undefined;
  #missedBast: number | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#slot = channel.allocate(this);
  }

  /**
   * `onOutcome` runs in the same breath in which the outcome is read: a notice that was read along with it already
   * speaks of what the operation has made of the lock.
   */
  perform(op: Submission, cancellable: boolean, onOutcome?: (completion: Completion) => void): Promise<Completion> {
    return new Promise((resolve) => {
      this.#settle = (completion) => {
        onOutcome?.(completion);
        resolve(completion);
      };
      this.#cancellable = cancellable;
      this.#channel.submit(this.#slot, op);
    });
  }

  /** Asks the kernel to give up the operation in flight; its outcome still decides. */
  cancel(): void {
    if (!this.#cancellable) return;
    this.#cancellable = false;
    this.#channel.submit(this.#slot, { kind: OP.cancel, mode: 0, flags: 0, bast: false });
  }

  /** A notice that came before anybody listened, as one read together with the grant does, is delivered late. */
  set onBlockingMode(listener: ((mode: number) => void) | undefined) {
    this.#onBlocking = listener;
    const missed = this.#missedBast;
    this.#missedBast = undefined;
    if (listener && missed !== undefined) process.nextTick(() => this.#onBlocking?.(missed));
  }

  /** The lock is gone from the kernel. */
  free(): void {
    this.#onBlocking = undefined;
    this.#channel.release(this.#slot);
  }

  onCompletion(completion: Completion): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#cancellable = false;
    settle?.(completion);
  }

  onBlocking(mode: number): void {
    if (this.#onBlocking) this.#onBlocking(mode);
    else this.#missedBast = mode;
  }
}
