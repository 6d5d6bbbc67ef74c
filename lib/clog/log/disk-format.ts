// A log device's contents, which are the kernel's own: drivers/md/dm-log.c, struct log_header_disk.
//
//    0  LE32 0x4D695272 ("MiRr")    4  LE32 version    8  LE64 regions    1024  a bit for each region, 1 = clean
//
// What is written comes from NativeRegions, page by page.

/** Bytes that are written at a time. */
export const PAGE_SIZE = 4096;
/** Where the bits begin. */
export const BITS_OFFSET = 1024;
const MAGIC = 0x4d695272;

/** Bytes of a log device that the log takes: as create_log_context() has it. */
export function logSize(regionCount: number, logicalBlockSize: number): number {
  const bits = Math.ceil(regionCount / 64) * 8;
  return Math.ceil((BITS_OFFSET + bits) / logicalBlockSize) * logicalBlockSize;
}

/** `none`: there is no log yet. `unknown`: one of a version that nobody knows here. */
export type Header =
  | { readonly kind: "none" }
  | { readonly kind: "unknown"; readonly version: number }
  /** Of how many regions there are bits. */
  | { readonly kind: "log"; readonly regions: bigint };

/** read_header(): versions 1 and 2 are the same on a little-endian machine, which every one of clusterlock's is. */
export function decodeHeader(page: Buffer): Header {
  if (page.readUInt32LE(0) !== MAGIC) return { kind: "none" };
  const version = page.readUInt32LE(4);
  if (version !== 1 && version !== 2) return { kind: "unknown", version };
  return { kind: "log", regions: page.readBigUInt64LE(8) };
}
