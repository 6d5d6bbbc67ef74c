// Reads a node's console as it comes: the steps of its boot, and what a person wants to see when it goes wrong.

import type { Readable } from "node:stream";

import { LineSplitter } from "../lines";

/** Lines kept for a person. */
const KEEP = 40;

/** The first line of the kernel's own account of its end. */
const TROUBLE = /Kernel panic|kernel BUG|BUG: |Oops|general protection fault|initramfs failed/;

/** o2cb's last words before it resets the node: fs/ocfs2/cluster/quorum.c, o2quo_fence_self(). */
const SELF_FENCING = /ocfs2 is very sorry to be fencing this system.*/;

export class ConsoleWatch {
  readonly #onStep: (step: string) => void;
  readonly #tail: string[] = [];
  #trouble: string[] | undefined;
  #selfFencing: string | undefined;

  constructor(from: Readable, onStep: (step: string) => void) {
    this.#onStep = onStep;
    const lines = new LineSplitter(4096);
    from.on("data", (chunk: Buffer) => {
      for (const line of lines.push(chunk)) this.#take(line.toString().trimEnd());
    });
  }

  /** From where the trouble began if there was any, else the last lines. */
  get telling(): readonly string[] {
    return this.#trouble ?? this.#tail;
  }

  /** The line by which the kernel began to tell of its end. */
  get trouble(): string | undefined {
    return this.#trouble?.find((line) => TROUBLE.test(line));
  }

  /** What the node said when it fenced itself. */
  get selfFencing(): string | undefined {
    return this.#selfFencing;
  }

  #take(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > KEEP) this.#tail.shift();
    if (TROUBLE.test(line)) this.#trouble ??= this.#tail.slice(-4, -1);
    if (this.#trouble !== undefined && this.#trouble.length < KEEP) this.#trouble.push(line);
    this.#selfFencing ??= SELF_FENCING.exec(line)?.[0];
    const step = /^step: (.*)/.exec(line)?.[1];
    if (step !== undefined) this.#onStep(step);
  }
}
