// What the lab and the agent in a node say to each other: one JSON object a line, over a virtio serial port.
// Output and input carry credit, so a stream that nobody reads stops its own process and no other.

import { LineSplitter } from "../lines";

/** Name of the virtio serial port. */
export const PORT_NAME = "clusterlock.control";

/** Output bytes of one stream that may be under way to the lab. */
export const WINDOW: number = 256 * 1024;

/** Largest piece of a stream in one message. */
export const PIECE: number = 64 * 1024;

/** A process's output streams, by their number in it. */
export type OutputFd = 1 | 2;

export type ToAgent =
  | { t: "exec"; id: number; argv: string[]; cwd: string; env: Record<string, string> }
  | { t: "stdin"; id: number; d: string }
  | { t: "stdin-end"; id: number }
  | { t: "credit"; id: number; fd: OutputFd; n: number }
  | { t: "signal"; id: number; signal: NodeJS.Signals }
  | { t: "clock" }
  | { t: "clock-set"; to: number };

export type FromAgent =
  | { t: "hello" }
  | { t: "out"; id: number; fd: OutputFd; d: string }
  | { t: "eof"; id: number; fd: OutputFd }
  | { t: "stdin-done"; id: number; gone: boolean }
  | { t: "exit"; id: number; code: number | null; signal: NodeJS.Signals | null }
  | { t: "clock"; at: number };

export function encode(message: ToAgent | FromAgent): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}

/** Cuts the byte stream of the port into messages. */
export class Decoder<Message extends ToAgent | FromAgent> {
  // a message is never cut: its longest is a piece in base64, or an environment
  readonly #lines: LineSplitter = new LineSplitter(Infinity);

  push(chunk: Buffer): Message[] {
    return this.#lines.push(chunk).map((line) => JSON.parse(line.toString()) as Message);
  }
}
