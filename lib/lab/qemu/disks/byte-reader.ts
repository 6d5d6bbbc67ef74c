// Takes a stream's bytes in the amounts that a protocol asks for.

import type { Readable } from "node:stream";

export class EndOfStream extends Error {
  override readonly name = "EndOfStream";
}

/** Bytes that may lie here before the sender has to wait, unless more is asked for at once. */
const ENOUGH = 1024 * 1024;

export class ByteReader {
  readonly #stream: Readable;
  #chunks: Buffer[] = [];
  #length = 0;
  #wanted = 0;
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      if (this.#length >= Math.max(ENOUGH, this.#wanted)) stream.pause();
      if (this.#length >= this.#wanted) this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    stream.once("end", end);
    stream.once("close", end);
  }

  /** Exactly so many bytes; one call at a time. Rejects when the stream ends before. */
  async take(length: number): Promise<Buffer> {
    if (this.#length < length) {
      this.#wanted = length;
      this.#stream.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#ended) resolve();
      });
      this.#wanted = 0;
      if (this.#length < length) throw new EndOfStream();
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0] : undefined;
    const data = all ?? Buffer.concat(this.#chunks, this.#length);
    this.#length -= length;
    this.#chunks = this.#length > 0 ? [data.subarray(length)] : [];
    if (this.#length < ENOUGH) this.#stream.resume();
    return data.subarray(0, length);
  }
}
