// Messages on a byte stream: one JSON object a line.

import { LineSplitter } from "../lines";

export function encode(message: object): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}

/** Cuts a byte stream into messages. */
export class Decoder<Message> {
  // a message is never cut: its longest is a piece in base64, or an environment
  readonly #lines: LineSplitter = new LineSplitter(Infinity);

  push(chunk: Buffer): Message[] {
    return this.#lines.push(chunk).map((line) => JSON.parse(line.toString()) as Message);
  }
}
