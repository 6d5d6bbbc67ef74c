// Bytes that come in on a stream, to be taken in portions, as many at a time as the taker wants.

import type { Duplex } from "node:stream";

/** What may wait here untaken. */
const READ_AHEAD = 256 * 1024;
/** So many small chunks in a row become one: a peer that sends byte by byte must not cost a buffer for each. */
const SMALL = 4096;
const MANY_SMALL = 64;

export class IntakeEnd extends Error {
  override readonly name = "IntakeEnd";
}

export class Intake {
  readonly #stream: Duplex;
  #chunks: Buffer[] = [];
  #length = 0;
  #small = 0;
  #wanted = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.#push(chunk);
      if (this.#length >= this.#wanted) this.#wake?.();
      if (this.#length >= Math.max(this.#wanted, READ_AHEAD)) stream.pause();
    });
    for (const event of ["end", "close"]) {
      stream.once(event, () => {
        this.#ended = true;
        this.#wake?.();
      });
    }
  }

  /** The next bytes, in one piece. Like `pieces`, it rejects with IntakeEnd when the stream ends before. */
  async bytes(length: number): Promise<Buffer> {
    const pieces = await this.pieces(length);
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  }

  /** The next bytes, in the pieces in which they came: big ones are not worth a copy. One call at a time. */
  async pieces(length: number): Promise<Buffer[]> {
    while (this.#length < length) {
      if (this.#ended) throw new IntakeEnd("the stream has ended");
      this.#wanted = length;
      this.#stream.resume();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    this.#wanted = 0;
    this.#wake = undefined;
    return this.#take(length);
  }

  #push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    this.#small = chunk.length < SMALL ? this.#small + 1 : 0;
    if (this.#small < MANY_SMALL || this.#chunks.length < MANY_SMALL) return;
    this.#chunks.push(Buffer.concat(this.#chunks.splice(-MANY_SMALL)));
    this.#small = 0;
  }

  #take(length: number): Buffer[] {
    this.#length -= length;
    const taken: Buffer[] = [];
    let count = 0;
    for (const chunk of this.#chunks) {
      if (length === 0) break;
      const part = chunk.length > length ? chunk.subarray(0, length) : chunk;
      taken.push(part);
      length -= part.length;
      if (part.length < chunk.length) this.#chunks[count] = chunk.subarray(part.length);
      else count++;
    }
    this.#chunks.splice(0, count);
    return taken;
  }
}
