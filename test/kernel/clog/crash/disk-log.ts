// The kernel's log device of a mirror (drivers/md/dm-log.c): which regions it may call clean.

import { SECTOR } from "./disk-states";

const MAGIC = 0x4d695272;
const VERSION = 2;
/** LOG_OFFSET, in sectors: the bits begin here, the lowest of each byte first. */
export const FIRST_BITS = 2;
export const BITS_PER_SECTOR: number = SECTOR * 8;

/** Regions that a header is of: what it says of others does not count. 0 of what is no header. */
export function regionsOfHeader(bytes: Buffer): number {
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== VERSION) return 0;
  return Number(bytes.readBigUInt64LE(8));
}

/** The header, as it is written. */
export function header(regions: number): Buffer {
  const bytes = Buffer.alloc(SECTOR);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(VERSION, 4);
  bytes.writeBigUInt64LE(BigInt(regions), 8);
  return bytes;
}

/** The first region whose bit is in that sector of the log device. */
export function firstRegionOf(sector: number): number {
  return (sector - FIRST_BITS) * BITS_PER_SECTOR;
}

export function sectorOfRegion(region: number): number {
  return FIRST_BITS + Math.floor(region / BITS_PER_SECTOR);
}

/** `region` counted from the first of this sector. */
export function isClean(bytes: Buffer, region: number): boolean {
  return ((bytes[region >> 3] ?? 0) & (1 << (region & 7))) !== 0;
}
