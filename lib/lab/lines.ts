// Bytes in, whole lines out.

const NEWLINE = 0x0a;

/** Cuts a byte stream into lines without their newline. A line longer than the limit comes in pieces. */
export class LineSplitter {
  readonly #limit: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(limit: number = 1024 * 1024) {
    this.#limit = limit;
  }

  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const piece = chunk.subarray(start, end < 0 ? undefined : end);
      this.#parts.push(piece);
      this.#length += piece.length;
      if (end < 0) break;
      lines.push(this.#take());
      start = end + 1;
    }
    if (this.#length >= this.#limit) lines.push(this.#take());
    return lines;
  }

  /** The last line if it had no newline. */
  end(): Buffer | undefined {
    return this.#length > 0 ? this.#take() : undefined;
  }

  #take(): Buffer {
    const [only] = this.#parts;
    const line = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts, this.#length);
    this.#parts = [];
    this.#length = 0;
    return line;
  }
}
