// The log of a dm-log-writes target (drivers/md/dm-log-writes.c), replayed. What is in it before a mark was flushed, or
// durable by itself, when the mark was made.

import { readFileSync } from "node:fs";

import type { Contents } from "./disk-states";
import { SECTOR } from "./disk-states";

const MAGIC = 0x6a736677736872n;
const FLAGS = { FLUSH: 1, FUA: 2, DISCARD: 4, MARK: 8 } as const;

export interface LogWritesEntry {
  readonly sector: number;
  /** Empty of a flush and of a mark. */
  readonly data: Buffer;
  readonly flush: boolean;
  readonly fua: boolean;
  readonly mark: string | undefined;
}

export function readLogWrites(file: string): LogWritesEntry[] {
  const bytes = readFileSync(file);
  if (bytes.readBigUInt64LE(0) !== MAGIC) throw new Error(`${file} is no log of dm-log-writes`);
  const count = Number(bytes.readBigUInt64LE(16));
  const sectorSize = bytes.readUInt32LE(24);
  const entries: LogWritesEntry[] = [];
  for (let at = sectorSize; entries.length < count;) {
    const [sector, sectors, flags, length] = [0, 8, 16, 24].map((field) =>
      Number(bytes.readBigUInt64LE(at + field)),
    ) as [number, number, number, number];
    if ((flags & FLAGS.DISCARD) !== 0) throw new Error(`${file} has a discard in it`);
    const begin = at + sectorSize;
    at = begin + sectors * sectorSize;
    if (at > bytes.length) throw new Error(`${file} ends within entry ${entries.length} of ${count}`);
    entries.push({
      sector: (sector * sectorSize) / SECTOR,
      data: bytes.subarray(begin, at),
      flush: (flags & FLAGS.FLUSH) !== 0,
      fua: (flags & FLAGS.FUA) !== 0,
      mark:
        (flags & FLAGS.MARK) === 0
          ? undefined
          : bytes.toString("utf8", begin - sectorSize + 32, begin - sectorSize + 32 + length),
    });
  }
  return entries;
}

/** What the device surely held at each mark, by sector; sectors that were not written since the log began are not there. */
export function* replay(
  entries: readonly LogWritesEntry[],
  contents: Contents,
): Generator<{ mark: string; held: ReadonlyMap<number, number> }, void> {
  const held = new Map<number, number>();
  for (const { sector, data, mark } of entries) {
    for (let at = 0; at < data.length; at += SECTOR) {
      held.set(sector + at / SECTOR, contents.number(data.subarray(at, at + SECTOR)));
    }
    if (mark !== undefined) yield { mark, held };
  }
}
