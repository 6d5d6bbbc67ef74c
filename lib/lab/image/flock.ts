// Locks on files, by flock(1): Node has no call for them.

import { spawn } from "node:child_process";
import { once } from "node:events";

import { LabError } from "../errors";

export interface Held {
  /** Resolves when others can have the lock. */
  readonly release: () => Promise<void>;
}

const BUSY = 75;

/**
 * Takes one lock after the other, each given as flock(1)'s options and file; undefined when one of them was not to be
 * had within its options' limit. The locks are free again when they are released or this process ends, however that
 * happens: flock holds them for as long as our end of its pipe is open.
 */
export async function flock(locks: readonly (readonly string[])[], signal: AbortSignal): Promise<Held | undefined> {
  signal.throwIfAborted();
  const argv = locks.flatMap((lock) => ["flock", "-E", String(BUSY), ...lock]);
  const holder = spawn(argv[0] ?? "flock", [...argv.slice(1), "sh", "-c", "echo; exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  let complaint = "";
  holder.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  holder.stdin.on("error", () => undefined);
  const ended = new Promise<number | string>((resolve, reject) => {
    holder.once("error", (error) => {
      reject(new LabError(`cannot run flock (${error.message}): apt-get install util-linux`));
    });
    holder.once("close", (code, how) => {
      resolve(code ?? how ?? "unknown");
    });
  });
  ended.catch(() => undefined);
  try {
    const status = await Promise.race([once(holder.stdout, "data", { signal }), ended]);
    if (status === BUSY) return undefined;
    if (!Array.isArray(status)) throw new LabError(`cannot lock the cache: ${complaint.trim() || `flock: ${status}`}`);
  } catch (error) {
    holder.kill("SIGKILL");
    throw error;
  }
  return {
    release: async () => {
      holder.stdin.destroy();
      holder.stdout.destroy();
      await ended;
    },
  };
}
