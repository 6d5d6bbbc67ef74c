// The image cache: entries appear whole or not at all, and two labs that start together build each only once.

import { constants, existsSync } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";

import { LabError, messageOf } from "../errors";
import { isWhole, writeContents } from "./contents";
import { isDiskFull } from "./disk-full";
import type { Held } from "./flock";
import { buildInCache } from "./in-use";

const PARTIAL = "partial-";
/** Another lab's downloads may be slow, but they end. */
const LOCK_SECONDS = 1800;

export class Cache {
  readonly root: string;
  readonly #signal: AbortSignal;
  readonly #progress: (line: string) => void;

  constructor(root: string, signal: AbortSignal, progress: (line: string) => void) {
    this.root = root;
    this.#signal = signal;
    this.#progress = progress;
  }

  /**
   * The path of an entry. When it is not there, or not all of it, `build` fills a directory which then becomes the
   * entry. Nothing is written for one that is whole: a cache may be read-only.
   */
  async entry(name: string, what: string, build: (directory: string) => Promise<void>): Promise<string> {
    const target = path.join(this.root, name);
    if (isWhole(target)) return target;
    await openCacheRoot(this.root);
    const { release } = await this.#lock();
    try {
      if (isWhole(target)) return target;
      await this.#removePartial();
      this.#progress(existsSync(target) ? `${what}: the one in the cache is damaged` : what);
      await this.#build(target, build);
      return target;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw new LabError(
        `no space is left on the disk of ${this.root}: free some, or set XDG_CACHE_HOME to a directory on another disk`,
      );
    } finally {
      await release();
    }
  }

  async #build(target: string, build: (directory: string) => Promise<void>): Promise<void> {
    const partial = await mkdtemp(path.join(this.root, PARTIAL));
    try {
      await build(partial);
      await writeContents(partial);
      this.#signal.throwIfAborted();
      // a damaged one; gone at once, so that being killed on the way leaves no worse one
      if (existsSync(target)) await rename(target, `${partial}-damaged`);
      await rename(partial, target);
    } finally {
      await rm(partial, { recursive: true, force: true });
      await rm(`${partial}-damaged`, { recursive: true, force: true });
    }
  }

  // with the lock in hand, whatever is partial belongs to a lab that was killed
  async #removePartial(): Promise<void> {
    for (const name of await readdir(this.root)) {
      if (!name.startsWith(PARTIAL)) continue;
      // a tool that outlived its lab may still be writing there; the next lab tries again
      await rm(path.join(this.root, name), { recursive: true, force: true }).catch(() => undefined);
    }
  }

  async #lock(): Promise<Held> {
    const hint = setTimeout(() => {
      this.#progress("waiting for another lab that prepares its images");
    }, 1000);
    try {
      return await buildInCache(this.root, LOCK_SECONDS, this.#signal);
    } finally {
      clearTimeout(hint);
    }
  }
}

/** The cache's own directory, which an ordinary user must be able to write. */
async function openCacheRoot(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true });
    await access(root, constants.W_OK);
  } catch (error) {
    throw new LabError(`cannot write the cache (${messageOf(error)}): set XDG_CACHE_HOME to a directory you own`);
  }
}

/** A version or name as a file name: no separators of paths, overlay options or QEMU options. */
export function fileName(text: string): string {
  return text.replace(/[^A-Za-z0-9.+_-]/g, "_");
}
