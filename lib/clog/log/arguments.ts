// What a table's words say of a log, in both orders.

import { constants } from "node:os";

import { ClogError } from "../../errors";
import type { Flavour } from "../protocol/requests";

import type { LogArguments } from "./dirty-log";

/**
 * What is in sync at the first resume of a table. `default`: what the log calls clean. `sync`: nothing. `nosync`: that,
 * and everything the log says nothing of.
 */
export type SyncWord = "default" | "sync" | "nosync";

export interface RegionArguments {
  /** Sectors. */
  readonly regionSize: number;
  readonly regionCount: number;
  readonly sync: SyncWord;
}

const MAX_UINT32 = 2 ** 32 - 1;
const CORE = "clustered-core";
const DISK = "clustered-disk";

/** Fails the table's load with EINVAL. */
export function invalidTable(hint: string, path?: string): ClogError {
  return new ClogError({ errno: -constants.errno.EINVAL, syscall: "CTR", path, hint });
}

function wholeNumber(word: string | undefined): number | undefined {
  if (word === undefined || !/^\d+$/.test(word)) return undefined;
  const value = Number(word);
  return Number.isSafeInteger(value) ? value : undefined;
}

function lengthOf(word: string | undefined): number {
  const length = wholeNumber(word);
  if (!length) throw invalidTable(`"${word ?? ""}" is no length of a mirror in sectors`);
  return length;
}

/**
 * The words of a `CTR` as they came. `ulog`: "LENGTH TYPE ARGS..." (dm-log-userspace-base.c: build_constructor_string).
 * `clog`: "[DISK] REGION_SIZE UUID [[no]sync] LENGTH", where the type is told by the disk, which is no number. Throws a
 * {@link ClogError} (EINVAL).
 */
export function parseConstructor(flavour: Flavour, words: readonly string[]): LogArguments {
  if (flavour === "ulog") {
    const [length, type, ...args] = words;
    if (!type) throw invalidTable("the table names no type of log");
    return { type, args, length: lengthOf(length) };
  }
  const args = words.slice(0, -1);
  const length = lengthOf(words.at(-1));
  const disk = wholeNumber(args[0]) === undefined ? args.splice(0, 1) : [];
  const [size, uuid, ...sync] = args;
  if (size === undefined || uuid === undefined) throw invalidTable("expected [DISK] REGION_SIZE UUID [[no]sync]");
  return { type: disk.length > 0 ? DISK : CORE, args: [...disk, size, ...sync], length };
}

/**
 * "REGION_SIZE [sync|nosync]", with the kernel's own limits (dm-log.c: create_log_context, _check_region_size): a power of
 * two, 2 or more, at most `length`, and fewer than 2^32 regions. Throws a {@link ClogError} (EINVAL).
 */
export function parseRegions(args: readonly string[], length: number): RegionArguments {
  const [size, word, ...rest] = args;
  if (rest.length > 0) throw invalidTable(`"${rest.join(" ")}" is too much: expected REGION_SIZE [sync|nosync]`);
  if (word !== undefined && word !== "sync" && word !== "nosync") {
    throw invalidTable(`"${word}" is neither "sync" nor "nosync"`);
  }
  const regionSize = wholeNumber(size);
  const power = regionSize !== undefined && regionSize >= 2 && Number.isInteger(Math.log2(regionSize));
  if (!power || regionSize > MAX_UINT32 || regionSize > length) {
    throw invalidTable(
      `the region size "${size ?? ""}" has to be a power of two, 2 sectors or more, and at most the mirror's ${length}`,
    );
  }
  const regionCount = Math.ceil(length / regionSize);
  if (regionCount > MAX_UINT32) {
    throw invalidTable(`${regionCount} regions are too many: use regions of more than ${regionSize} sectors`);
  }
  return { regionSize, regionCount, sync: word ?? "default" };
}
