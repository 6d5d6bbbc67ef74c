// The blocks of blocks.c: what their sectors say.

import { SECTOR } from "./disk-states";

export const BLOCK = 4096;
export const SECTORS_PER_BLOCK: number = BLOCK / SECTOR;

const MAGIC = Buffer.from("CLcrash\0");

/** The version that a sector of the mirror holds of the block that belongs there; 0: none. */
export function versionOf(bytes: Buffer, sector: number): number {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return 0;
  const [block, index] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
  if (block !== Math.floor(sector / SECTORS_PER_BLOCK) || index !== sector % SECTORS_PER_BLOCK) return 0;
  return Number(bytes.readBigUInt64LE(16));
}

/** A sector as blocks.c begins it. */
export function sectorOf(sector: number, version: number): Buffer {
  const bytes = Buffer.alloc(SECTOR, version % 251);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(Math.floor(sector / SECTORS_PER_BLOCK), 8);
  bytes.writeUInt32LE(sector % SECTORS_PER_BLOCK, 12);
  bytes.writeBigUInt64LE(BigInt(version), 16);
  return bytes;
}

/** Where a mirror is on the disks. */
export interface Mirror {
  /** Disks of the recording. The whole of each is used, from its beginning on. */
  readonly legs: readonly [number, number];
  readonly log: number;
  /** Sectors. */
  readonly length: number;
  readonly regionSize: number;
}

/** What was written to the marker disk. */
export type Mark =
  /** These versions of blocks are acknowledged. */
  | { readonly acked: readonly (readonly [block: number, version: number])[] }
  /** From here on the disks are those of this mirror, or of none. */
  | { readonly mirror: Mirror | null }
  | { readonly point: string };

/** A mark, as it comes to the marker disk: text, and zeroes behind it. */
export function readMark(data: Buffer): Mark {
  const end = data.indexOf(0);
  return JSON.parse(data.toString("utf8", 0, end < 0 ? data.length : end)) as Mark;
}
