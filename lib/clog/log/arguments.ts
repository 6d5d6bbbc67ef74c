// What a table's words say of the regions of a log.

import { constants } from "node:os";

import { ClogError } from "../../errors";

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

/** Fails the table's load with EINVAL. */
export function invalidTable(hint: string, path?: string): ClogError {
  return new ClogError({ errno: -constants.errno.EINVAL, syscall: "CTR", path, hint });
}

function wholeNumber(word: string | undefined): number | undefined {
  if (word === undefined || !/^\d+$/.test(word)) return undefined;
  const value = Number(word);
  return Number.isSafeInteger(value) ? value : undefined;
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
