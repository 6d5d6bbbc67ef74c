// The image cache: entries appear whole or not at all, and two labs that start together build each only once.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";

import { LabError, messageOf } from "../errors";

const PARTIAL = "partial-";

export class Cache {
  readonly root: string;
  readonly #signal: AbortSignal;
  readonly #progress: (line: string) => void;

  constructor(root: string, signal: AbortSignal, progress: (line: string) => void) {
    this.root = root;
    this.#signal = signal;
    this.#progress = progress;
  }

  /** The path of an entry; when it is not there yet, `build` fills a directory which then becomes the entry. */
  async entry(name: string, what: string, build: (directory: string) => Promise<void>): Promise<string> {
    const target = path.join(this.root, name);
    if (await exists(target)) return target;
    await openCacheRoot(this.root);
    const unlock = await this.#lock();
    try {
      if (await exists(target)) return target;
      await this.#removePartial();
      this.#progress(what);
      const partial = await mkdtemp(path.join(this.root, PARTIAL));
      try {
        await build(partial);
        this.#signal.throwIfAborted();
        await rename(partial, target);
      } catch (error) {
        await rm(partial, { recursive: true, force: true });
        throw error;
      }
      return target;
    } finally {
      unlock();
    }
  }

  // with the lock in hand, whatever is partial belongs to a lab that was killed
  async #removePartial(): Promise<void> {
    for (const name of await readdir(this.root)) {
      if (name.startsWith(PARTIAL)) await rm(path.join(this.root, name), { recursive: true, force: true });
    }
  }

  // flock(1) holds the lock for as long as our end of its pipe is open, so our death frees it too
  async #lock(): Promise<() => void> {
    const holder = spawn("flock", [path.join(this.root, "lock"), "sh", "-c", "echo; exec cat >/dev/null"], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    const hint = setTimeout(() => {
      this.#progress("waiting for another lab that prepares its images");
    }, 1000);
    const ended = new Promise<never>((_, reject) => {
      holder.once("error", (error) => {
        reject(new LabError(`cannot run flock (${error.message}): apt-get install util-linux`));
      });
      holder.once("exit", (code) => {
        reject(new LabError(`flock on the image cache ended with ${code ?? "a signal"}`));
      });
    });
    ended.catch(() => undefined);
    try {
      await Promise.race([once(holder.stdout, "data", { signal: this.#signal }), ended]);
    } catch (error) {
      holder.kill("SIGKILL");
      throw error;
    } finally {
      clearTimeout(hint);
    }
    return () => {
      holder.stdin.destroy();
      holder.stdout.destroy();
    };
  }
}

/** The cache's own directory, which an ordinary user must be able to write. */
export async function openCacheRoot(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true });
    await access(root, constants.W_OK);
  } catch (error) {
    throw new LabError(`cannot write the cache (${messageOf(error)}): set XDG_CACHE_HOME to a directory you own`);
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** A version or name as a file name: no separators of paths, overlay options or QEMU options. */
export function fileName(text: string): string {
  return text.replace(/[^A-Za-z0-9.+_-]/g, "_");
}
