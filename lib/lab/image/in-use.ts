// Who uses the cache: labs, all at the same time; or its cleaner, alone.

import { mkdir, open, stat } from "node:fs/promises";
import path from "node:path";

import { LabError, messageOf } from "../errors";
import type { Held } from "./flock";
import { flock } from "./flock";

const IN_USE = "in-use";
/** A cleaner is done before that. */
const CLEANING_SECONDS = 120;
const ATTEMPTS = 10;

type Lock = readonly string[];

/**
 * Keeps the cache from being cleaned until `release` is called or this process ends. Every lab has to call it before
 * it opens its image. A read-only cache that was never locked cannot be, and nobody can clean it.
 */
export async function useCache(root: string, signal: AbortSignal): Promise<Held> {
  try {
    return heldOr(await lockCache(root, shared(), [], signal), `${root} is being cleaned, and that does not end`);
  } catch (error) {
    if (!(error instanceof UnwritableError)) throw error;
    return { release: async () => Promise.resolve() };
  }
}

/** The right to build in the cache: one at a time, and not while it is cleaned. */
export async function buildInCache(root: string, limitSeconds: number, signal: AbortSignal): Promise<Held> {
  const builder = ["-w", String(limitSeconds), path.join(root, "lock")];
  const held = await lockCache(root, shared(), [builder], signal);
  return heldOr(held, `waited ${limitSeconds} s in vain for another lab to prepare its images in ${root}`);
}

/** The cache for its cleaner alone; undefined while a lab uses it. */
export async function haveCacheAlone(root: string, signal: AbortSignal): Promise<Held | undefined> {
  return lockCache(root, ["-x", "-n"], [], signal);
}

function shared(): Lock {
  return ["-s", "-w", String(CLEANING_SECONDS)];
}

function heldOr(held: Held | undefined, complaint: string): Held {
  if (held === undefined) throw new LabError(complaint);
  return held;
}

class UnwritableError extends LabError {}

async function lockCache(
  root: string,
  how: Lock,
  more: readonly Lock[],
  signal: AbortSignal,
): Promise<Held | undefined> {
  const file = path.join(root, IN_USE);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const trouble = await touch(file);
    const before = await inode(file);
    // A cleaner removes the file that it has locked, and a lock on that one is worth nothing. Equal numbers prove that
    // the file is still there: no other gets the number of one that is open.
    const held = await flock([[...how, file], ...more], signal).catch(async (error: unknown) => {
      if (signal.aborted || (before !== undefined && (await inode(file)) === before)) throw error;
      return "gone" as const;
    });
    if (held === "gone") {
      if (trouble === undefined) continue;
      throw new UnwritableError(`cannot write the cache (${trouble}): set XDG_CACHE_HOME to a directory you own`);
    }
    if (held === undefined || (await inode(file)) === before) return held;
    await held.release();
  }
  throw new LabError(`the cache ${root} is cleaned again and again: wait until that ends`);
}

/** Undefined, or why not: a read-only cache may have the file all the same. */
async function touch(file: string): Promise<string | undefined> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await (await open(file, "a")).close();
    return undefined;
  } catch (error) {
    // a cleaner took the directory away that was there a moment ago
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    return messageOf(error);
  }
}

async function inode(file: string): Promise<bigint | undefined> {
  return stat(file, { bigint: true }).then(
    ({ ino }) => ino,
    () => undefined,
  );
}
