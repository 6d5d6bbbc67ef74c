import { type Frame, type FrameMark, type FrameReading, U64_MAX } from "./frame";

// Resets are rare, and only bytes that lay about for long are older than the last few.
const EPOCHS_KEPT = 64;

/** How a value was found to be lost. */
export type LossSign =
  /** The block is all zeros, which is how o2cb loses a value. */
  | "zeros"
  /** The kernel says so, which is how fs/dlm loses one. */
  | "invalid"
  /** Somebody else was told so by the kernel, and left a mark. */
  | "marked";

/** What a value block means to somebody who remembers. */
export type FramedReading =
  /** The value, and nothing speaks against it. */
  | { readonly state: "ok"; readonly payload: Uint8Array; readonly epoch: bigint; readonly sequence: bigint }
  /** A value that was initialised anew since `previous` was seen. From now on it is the known one. */
  | {
      readonly state: "reset";
      readonly payload: Uint8Array;
      readonly epoch: bigint;
      readonly sequence: bigint;
      readonly previous: FrameMark;
    }
  /** An older value than the `last` one known, or another under the same numbers: what was written since is lost. */
  | {
      readonly state: "stale";
      readonly payload: Uint8Array;
      readonly epoch: bigint;
      readonly sequence: bigint;
      readonly last: FrameMark;
    }
  /** There was a value, and it is gone. `last` is undefined where no frame was ever seen, and only the loss is known. */
  | { readonly state: "lost"; readonly sign: LossSign; readonly last: FrameMark | undefined }
  /** The kernel says that the value is lost, and that is all that is known of it. */
  | { readonly state: "invalid" }
  /** All zeros, and no frame was ever seen. The kernel cannot tell a value that was never written from a lost one. */
  | { readonly state: "empty" }
  | { readonly state: "foreign"; readonly reason: string }
  | { readonly state: "corrupt"; readonly reason: string };

/** The last frame seen, and what new bytes mean in its light. */
export class Memory {
  last: FrameMark | undefined;
  readonly #former = new Set<bigint>();
  // of all frames of whatever epoch
  #highest: bigint;
  // a loss was seen, and no value since
  #loss = false;

  constructor(last: FrameMark | undefined) {
    this.last = last;
    this.#highest = last?.sequence ?? 0n;
  }

  /**
   * The sequence of a value that follows `sequence`: above all that is known, of other epochs too. More than U64_MAX when
   * there are no more numbers.
   */
  sequenceAfter(sequence: bigint): bigint {
    return (this.#highest < U64_MAX ? this.#highest : sequence) + 1n;
  }

  /** Every epoch that a new one must differ from. */
  get epochs(): ReadonlySet<bigint> {
    return new Set([...this.#former, ...(this.last ? [this.last.epoch] : [])]);
  }

  remember(mark: FrameMark): void {
    if (this.last && this.last.epoch !== mark.epoch) this.#retire(this.last.epoch);
    this.last = mark;
    this.#loss = false;
    this.#raise(mark.sequence);
  }

  /** @param found undefined: the kernel says that the value is lost */
  judge(found: FrameReading | undefined): FramedReading {
    if (found === undefined) {
      const known = this.last !== undefined || this.#loss;
      this.#loss = true;
      return known ? this.#lost("invalid") : { state: "invalid" };
    }
    switch (found.state) {
      case "ok":
        return this.#judgeFrame(found);
      case "empty":
        return this.last || this.#loss ? this.#lost("zeros") : found;
      case "lost":
        this.#loss = true;
        this.#learn(found.last);
        return this.#lost("marked");
      default:
        return found;
    }
  }

  #judgeFrame({ frame, checksum }: FrameReading & { state: "ok" }): FramedReading {
    const { payload, epoch, sequence } = frame;
    const value = { payload, epoch, sequence };
    const { last } = this;
    this.#raise(sequence);
    if (last && this.#isOlder(last, frame, checksum)) return { state: "stale", ...value, last };
    this.remember({ epoch, sequence, checksum });
    return last && last.epoch !== epoch ? { state: "reset", ...value, previous: last } : { state: "ok", ...value };
  }

  #isOlder(last: FrameMark, { epoch, sequence }: Frame, checksum: number): boolean {
    if (epoch !== last.epoch) return this.#former.has(epoch);
    if (sequence !== last.sequence) return sequence < last.sequence;
    return last.checksum !== undefined && last.checksum !== checksum;
  }

  #lost(sign: LossSign): FramedReading {
    return { state: "lost", sign, last: this.last };
  }

  // what another has seen of a value that is lost
  #learn(mark: FrameMark | undefined): void {
    if (!mark) return;
    this.#raise(mark.sequence);
    if (!this.last || (this.last.epoch === mark.epoch && this.last.sequence < mark.sequence)) this.last = mark;
  }

  #raise(sequence: bigint): void {
    if (sequence > this.#highest) this.#highest = sequence;
  }

  #retire(epoch: bigint): void {
    this.#former.add(epoch);
    const [oldest] = this.#former;
    if (this.#former.size > EPOCHS_KEPT && oldest !== undefined) this.#former.delete(oldest);
  }
}
