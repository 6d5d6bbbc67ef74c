import type { Channel, Completion, SlotOwner } from "./channel";
import type { Submission } from "./request-buffer";

/** One operation that is about no lock, from its submission to its answer. */
export class ControlCall implements SlotOwner {
  readonly #channel: Channel;
  readonly #slot: number;
  #resolve: ((answer: { status: number; lkid: number }) => void) | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#slot = channel.allocate(this);
  }

  perform(op: Submission): Promise<{ status: number; lkid: number }> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#channel.submit(this.#slot, op);
    });
  }

  onCompletion({ status, lkid }: Completion): void {
    this.#channel.release(this.#slot);
    this.#resolve?.({ status, lkid });
  }

  onBlocking(): void {
    // nobody asks for notices here
  }
}
