// One answer to every signal that asks us to end: an abort that whatever runs can see, and the exit status for it.
import os from "node:os";

import { whenOrphaned } from "./ancestry.cjs";

export class Interrupted extends Error {
  constructor(signal) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
    this.status = 128 + os.constants.signals[signal];
  }
}

const controller = new AbortController();

/** Aborts, with an `Interrupted` as its reason, when this process is asked to end. */
export const interruption = controller.signal;

export function watchSignals() {
  // Never `once`: npm passes on the ^C that a terminal has sent to us as well, and the second must not cut us short.
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"])
    process.on(signal, () => controller.abort(new Interrupted(signal)));
  // a run in the background may outlive the shell that started it, but not npm
  if (process.env.npm_lifecycle_event !== undefined) whenOrphaned(() => controller.abort(new Interrupted("SIGHUP")));
}
