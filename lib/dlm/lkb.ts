import { type Channel, type Completion, EUNLOCK, type SlotOwner } from "./channel";
import { OP, type Submission } from "./request-buffer";

/** Hears how an operation ended, in the same breath in which that is read. */
export type Outcome = (completion: Completion) => void;

/**
 * One lock as the kernel knows it (its "lkb"): one operation at a time, each with exactly one outcome.
 *
 * A cancel has no outcome of its own. It is sent at most once for an operation, because the kernel answers a second
 * one with a WARN (fs/dlm/lock.c:validate_unlock_args()).
 */
export class Lkb implements SlotOwner {
  readonly #channel: Channel;
  readonly #slot: number;
  #outcome: Outcome | undefined;
  #forced: Outcome | undefined;
  #cancellable = false;
  #freed = false;
  #onBlocking: ((mode: number) => void) | undefined;
  #missedBast: number | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#slot = channel.allocate(this);
  }

  /**
   * `outcome` runs in the same breath in which the outcome is read: a notice that was read along with it already
   * speaks of what the operation has made of the lock.
   */
  perform(op: Submission, cancellable: boolean, outcome: Outcome): void {
    this.#outcome = outcome;
    this.#cancellable = cancellable;
    this.#channel.submit(this.#slot, op);
  }

  /**
   * Asks the kernel to give up the operation in flight; its outcome still decides. `deadlock`: that outcome is to be
   * EDEADLK. False when there is nothing to give up, or that was asked for already.
   */
  cancel(deadlock = false): boolean {
    if (!this.#cancellable) return false;
    this.#cancellable = false;
    this.#channel.send(this.#slot, { kind: deadlock ? OP.deadlock : OP.cancel });
    return true;
  }

  /** Unlocks whatever else is in flight; the outcome of that comes first, and is EUNLOCK if the kernel has none. */
  force(op: Submission, outcome: Outcome): void {
    const cancellable = this.#cancellable;
    this.#cancellable = false;
    this.#forced = (completion) => {
      if (completion.refused === OP.unlock) this.#cancellable = cancellable;
      outcome(completion);
    };
    this.#channel.submit(this.#slot, op);
  }

  /** A notice that came before anybody listened, as one read together with the grant does, is delivered late. */
  set onBlockingMode(listener: ((mode: number) => void) | undefined) {
    this.#onBlocking = listener;
    const missed = this.#missedBast;
    this.#missedBast = undefined;
    if (listener && missed !== undefined) process.nextTick(() => this.#onBlocking?.(missed));
  }

  /** The kernel has dropped the lock, and what it had in flight, without a word. */
  drop(): void {
    if (!this.#freed) this.#channel.drop(this.#slot);
  }

  /** The lock is gone from the kernel. */
  free(): void {
    this.#freed = true;
    this.#onBlocking = undefined;
    this.#channel.release(this.#slot);
  }

  onCompletion(completion: Completion): void {
    const outcome = this.#outcome;
    this.#outcome = undefined;
    this.#cancellable = false;
    const forced = this.#forced;
    if (!forced) {
      outcome?.(completion);
      return;
    }
    if (completion.refused === OP.unlock) {
      this.#forced = undefined;
      this.#outcome = outcome;
      forced(completion);
      return;
    }
    if (outcome && completion.status !== EUNLOCK) {
      outcome(completion);
      return;
    }
    this.#forced = undefined;
    outcome?.(completion);
    forced(completion);
  }

  onBlocking(mode: number): void {
    if (this.#onBlocking) this.#onBlocking(mode);
    else this.#missedBast = mode;
  }
}
