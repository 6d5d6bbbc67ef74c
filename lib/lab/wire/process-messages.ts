// How a program that runs elsewhere is spoken to: between the lab and a node, and between a caller and the lab. Output and
// input carry credit, so a stream that nobody reads stops its own program and no other.

import type { Loss } from "../cluster";

/** Output bytes of one stream that may be under way. */
export const WINDOW: number = 256 * 1024;

/** Largest piece of a stream in one message. */
export const PIECE: number = 64 * 1024;

/** A process's output streams, by their number in it. */
export type OutputFd = 1 | 2;

/** To where the program runs. `d` is base64. */
export type ToProcess =
  | { t: "stdin"; id: number; d: string }
  | { t: "stdin-end"; id: number }
  | { t: "credit"; id: number; fd: OutputFd; n: number }
  | { t: "signal"; id: number; signal: NodeJS.Signals };

/** From where the program runs. */
export type FromProcess =
  | { t: "out"; id: number; fd: OutputFd; d: string }
  | { t: "eof"; id: number; fd: OutputFd }
  | { t: "stdin-done"; id: number; gone: boolean }
  | { t: "exit"; id: number; code: number | null; signal: NodeJS.Signals | null; lost: Loss | null };
