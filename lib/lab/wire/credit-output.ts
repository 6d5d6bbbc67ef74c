// The sending end of one output stream: no more is sent than the receiver gave credit for.

import type { Readable } from "node:stream";

import { PIECE, WINDOW } from "./process-messages";

export class CreditOutput {
  readonly #from: Readable;
  #credit = WINDOW;

  /** `send` gets pieces in base64; `onEnd` comes once, after the last. */
  constructor(from: Readable, send: (piece: string) => void, onEnd: () => void) {
    this.#from = from;
    from.on("data", (chunk: Buffer) => {
      for (let start = 0; start < chunk.length; start += PIECE) send(chunk.toString("base64", start, start + PIECE));
      this.#credit -= chunk.length;
      if (this.#credit <= 0) from.pause();
    });
    from.on("error", () => undefined);
    from.once("close", onEnd);
  }

  give(count: number): void {
    this.#credit += count;
    if (this.#credit > 0) this.#from.resume();
  }
}
