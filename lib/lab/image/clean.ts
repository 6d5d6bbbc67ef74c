// Takes the cache away.

import { lstatSync, readdirSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import path from "node:path";

import { LabError, messageOf } from "../errors";
import { cacheRoot } from "../paths";
import { haveCacheAlone } from "./in-use";

export interface Cleaned {
  /** Bytes of disk space, of all entries together. */
  readonly freed: number;
  /** What was removed, with its size in bytes. */
  readonly removed: readonly { readonly name: string; readonly size: number }[];
}

// XDG_CACHE_HOME may point somewhere odd: what is not ours by its name stays
const OURS = /^(?:(?:packages|busybox|kernel|boot|initramfs|partial)-.+|(?:plan|accel)\.json(?:\.\d+)?)$/;
const LOCKS = ["lock", "in-use"];

/** Removes all that labs have cached; a LabError while one of them uses it. */
export async function cleanCache(
  root: string = cacheRoot(),
  signal: AbortSignal = new AbortController().signal,
): Promise<Cleaned> {
  const names = list(root);
  if (names === undefined) return { freed: 0, removed: [] };
  const held = await haveCacheAlone(root, signal);
  if (held === undefined) throw new LabError(`a lab uses the cache ${root}: end it, then clean`);
  try {
    const removed: { name: string; size: number }[] = [];
    for (const name of (list(root) ?? []).filter((one) => OURS.test(one)).sort()) {
      signal.throwIfAborted();
      const size = diskUsage(path.join(root, name));
      await rm(path.join(root, name), { recursive: true });
      removed.push({ name, size });
    }
    for (const name of LOCKS) await rm(path.join(root, name), { force: true });
    // not ours, if it is not empty now
    await rmdir(root).catch(() => undefined);
    return { freed: removed.reduce((sum, { size }) => sum + size, 0), removed };
  } catch (error) {
    if (signal.aborted) throw error;
    throw new LabError(`cannot clean the cache: ${messageOf(error)}`);
  } finally {
    await held.release();
  }
}

function list(directory: string): string[] | undefined {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new LabError(`cannot read the cache: ${messageOf(error)}`);
  }
}

function diskUsage(file: string): number {
  const found = lstatSync(file);
  const own = found.blocks * 512;
  if (!found.isDirectory()) return own;
  return readdirSync(file).reduce((sum, name) => sum + diskUsage(path.join(file, name)), own);
}
