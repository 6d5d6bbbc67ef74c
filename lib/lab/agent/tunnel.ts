// One end of a connection between a node's program and the lab, carried in messages of the control channel.

import { Duplex } from "node:stream";

import { PIECE } from "../wire/process-messages";
import type { TunnelMessage } from "./messages";

type Done = (error?: Error | null) => void;

/**
 * There is no credit: what flows here are calls and their answers, and the output of programs, which carries credit of
 * its own.
 */
export class Tunnel extends Duplex {
  readonly #id: number;
  readonly #send: (message: TunnelMessage) => void;

  constructor(id: number, send: (message: TunnelMessage) => void) {
    super();
    this.#id = id;
    this.#send = send;
  }

  receive(message: TunnelMessage): void {
    this.push(message.t === "tunnel" ? Buffer.from(message.d, "base64") : null);
  }

  override _read(): void {
    // pushed as it comes
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    for (let start = 0; start < chunk.length; start += PIECE) {
      this.#send({ t: "tunnel", id: this.#id, d: chunk.toString("base64", start, start + PIECE) });
    }
    done();
  }

  override _final(done: Done): void {
    this.#send({ t: "tunnel-end", id: this.#id });
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.writableFinished) this.#send({ t: "tunnel-end", id: this.#id });
    done(error);
  }
}
