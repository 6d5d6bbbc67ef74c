// One answer to every signal that asks us to end: an abort that whatever runs can see, and the exit status for it.
import { readFileSync } from "node:fs";
import os from "node:os";

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
  if (process.env.npm_lifecycle_event === undefined) return;
  // npm passes on neither SIGHUP nor its own SIGKILL, and the shell between us passes on nothing.
  const npm = starters();
  const watch = () => {
    if (starters().join() !== npm.join()) controller.abort(new Interrupted("SIGHUP"));
  };
  setInterval(watch, 500).unref();
}

/** Who started us: npm; or a shell, and npm which started that. */
function starters() {
  const parent = process.ppid;
  try {
    // "pid (name) state ppid ..."
    const [, name, grandparent] = /\((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${parent}/stat`, "utf8"));
    return name.endsWith("sh") ? [parent, Number(grandparent)] : [parent];
  } catch {
    return [];
  }
}
