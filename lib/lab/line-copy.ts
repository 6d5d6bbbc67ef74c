// Copies a program's output line by line, each with a prefix.

import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

import { LineSplitter } from "./lines";

const NEWLINE = Buffer.from("\n");

export class LineCopy {
  /** Settles when all is copied; rejects when it cannot be written. */
  readonly done: Promise<void>;
  /** When the last piece came; while one is being written, there is no telling. */
  #last = performance.now();
  #writing = false;

  constructor(prefix: string, from: Readable, to: Writable) {
    this.done = this.#copy(Buffer.from(prefix), from, to);
  }

  /** Resolves when nothing has come for so many milliseconds, not counting those that our own reader needs. */
  async quiet(ms: number): Promise<void> {
    for (;;) {
      const left = this.#writing ? ms : this.#last + ms - performance.now();
      if (left <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, left).unref());
    }
  }

  async #copy(head: Buffer, from: Readable, to: Writable): Promise<void> {
    const lines = new LineSplitter();
    for await (const chunk of from) {
      const whole = lines.push(chunk as Buffer).flatMap((line) => [head, line, NEWLINE]);
      this.#writing = true;
      if (whole.length > 0 && !to.write(Buffer.concat(whole))) await once(to, "drain");
      this.#writing = false;
      this.#last = performance.now();
    }
    const rest = lines.end();
    if (rest !== undefined) to.write(Buffer.concat([head, rest, NEWLINE]));
  }
}
