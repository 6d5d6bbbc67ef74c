// The log of a dm-log-writes target (drivers/md/dm-log-writes.c), replayed. What is in it before a mark was flushed, or
// durable by itself, when the mark was made.

import { readFileSync } from "node:fs";

import type { DiskEvent } from "../../../../lib/lab";

import { States } from "./analysis";
import { readMark } from "./blocks";
import type { Contents } from "./disk-states";
import { DisksOfRequests, SECTOR } from "./disk-states";

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

/** A device at a mark, by sector; of sectors that were not written since the log began there is nothing. */
interface Marked {
  readonly mark: string;
  /** What was certain: more than one content where the log does not say which is the newer. */
  readonly held: ReadonlyMap<number, readonly number[]>;
  /** Whether this content came to the log after the mark: it was not certain then, if it was written at all. */
  later(sector: number, content: number): boolean;
}

// A durable write comes to the log when it is done, one that was done before it and waits for a flush only then: so the
// older of two of a sector may stand behind the newer, with no flush between them but one that was under way.
function* replay(entries: readonly LogWritesEntry[], contents: Contents): Generator<Marked, void> {
  const held = new Map<number, readonly number[]>();
  const last = new Map<string, number>();
  let durable = new Map<number, number>();
  let durableBefore = new Map<number, number>();
  const each = (index: number, take: (sector: number, content: number) => void): void => {
    const { sector, data } = entries[index]!;
    for (let at = 0; at < data.length; at += SECTOR) {
      take(sector + at / SECTOR, contents.number(data.subarray(at, at + SECTOR)));
    }
  };
  for (const index of entries.keys()) each(index, (sector, content) => last.set(`${sector} ${content}`, index));
  for (const [index, { mark, flush, fua }] of entries.entries()) {
    each(index, (sector, content) => {
      const newer = fua ? undefined : (durable.get(sector) ?? durableBefore.get(sector));
      held.set(sector, newer === undefined ? [content] : [content, newer]);
      if (fua) durable.set(sector, content);
    });
    if (flush) [durableBefore, durable] = [durable, new Map<number, number>()];
    if (mark === undefined) continue;
    yield { mark, held, later: (sector, content) => (last.get(`${sector} ${content}`) ?? 0) > index };
  }
}

/** What a comparison went through. */
export interface Compared {
  readonly marks: string[];
  readonly entries: number;
  readonly flushes: number;
  readonly fuas: number;
  /** Sectors that were compared at marks; of them those that could have another content as well, and those overtaken. */
  sectors: number;
  open: number;
  overtaken: number;
}

/**
 * Compares a recording with what dm-log-writes has logged above each of its disks: at every mark, which both have, both must
 * say of each sector that the same content is certain. Only where a flush was sent while a write was under way may the
 * recording be ahead: the write had been done when the flush came to the disk, and the node did not know. The events are all
 * from the recording's beginning on; the logs begin at the place `from`.
 */
export function compareLogWrites(
  events: Iterable<DiskEvent>,
  marker: number,
  logs: readonly (readonly LogWritesEntry[])[],
  from: number = 0,
): Compared {
  const states = new States(marker + 1);
  const disks = new DisksOfRequests();
  const entries = logs.flat();
  const compared: Compared = {
    marks: [],
    entries: entries.length,
    flushes: entries.filter(({ flush }) => flush).length,
    fuas: entries.filter(({ fua }) => fua).length,
    sectors: 0,
    open: 0,
    overtaken: 0,
  };
  const replays = logs.map((log) => replay(log, states.contents));
  let at = 0;
  for (const event of events) {
    const disk = disks.of(event);
    if (disk !== marker) states.of(disk).take(event, at);
    at++;
    if (at <= from || disk !== marker || event.kind !== "write") continue;
    const mark = readMark(event.data);
    if (!("point" in mark)) continue;
    compared.marks.push(mark.point);
    for (const [index, one] of replays.entries()) {
      const { value } = one.next();
      if (value?.mark !== mark.point) throw new Error(`disk ${index} has mark ${value?.mark} for ${mark.point}`);
      for (const [sector, possible] of value.held) {
        const certain = states.of(index).certain(sector);
        compared.sectors++;
        if (states.of(index).possible(sector).length > 1) compared.open++;
        if (certain.length === 1 && possible.includes(certain[0]!)) continue;
        if (certain.every((one) => possible.includes(one) || value.later(sector, one))) {
          compared.overtaken++;
          continue;
        }
        throw new Error(`at ${mark.point}, the recording has another content of disk ${index}, sector ${sector}`);
      }
    }
  }
  return compared;
}
