// What a disk may hold after a power cut, sector by sector, at every moment of a recording.
//
// A disk has a volatile cache. Certain to be there is a write that was done before a flush came which is done too, or that
// was durable by itself (FUA). Every other write may be there or not, each of its sectors for itself. A content is gone when
// a write that came after it was done is certain: so of two writes that were under way together either may be the last.

import { createHash } from "node:crypto";

import type { DiskEvent } from "../../../../lib/lab";

export const SECTOR = 512;

/** Numbers for contents of sectors: equal contents have the same. */
export class Contents {
  readonly #numbers = new Map<string, number>();
  readonly #bytes: Buffer[] = [];
  /** Of a sector of zeroes. */
  readonly zero: number = this.number(Buffer.alloc(SECTOR));

  number(bytes: Buffer): number {
    const key = createHash("md5").update(bytes).digest("base64");
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#bytes.length;
      this.#numbers.set(key, number);
      this.#bytes.push(Buffer.from(bytes));
    }
    return number;
  }

  bytes(number: number): Buffer {
    const bytes = this.#bytes[number];
    if (bytes === undefined) throw new RangeError(`there is no content ${number}`);
    return bytes;
  }
}

interface Write {
  readonly first: number;
  readonly count: number;
  /** When it came, and when it was done: places in the recording. */
  readonly came: number;
  done: number;
  certain: boolean;
}

interface Version {
  readonly write: Write;
  readonly content: number;
}

const BEFORE_ALL: Write = { first: 0, count: 0, came: -1, done: -1, certain: true };

export class DiskStates {
  readonly #contents: Contents;
  readonly #sectors = new Map<number, Version[]>();
  readonly #writes = new Map<number, { write: Write; durable: boolean }>();
  readonly #flushes = new Map<number, Write[]>();
  /** Done, and not certain. */
  readonly #cached = new Set<Write>();
  readonly #zero: readonly Version[];

  constructor(contents: Contents) {
    this.#contents = contents;
    this.#zero = [{ write: BEFORE_ALL, content: contents.zero }];
  }

  /** The numbers of the contents that the sector may have, each once. */
  possible(sector: number): readonly number[] {
    const versions = this.#sectors.get(sector) ?? this.#zero;
    if (versions.length === 1) return versions.map(({ content }) => content);
    return [...new Set(versions.map(({ content }) => content))];
  }

  /** Those of them that are certain: more than one only of writes that were under way together. */
  certain(sector: number): readonly number[] {
    const versions = this.#sectors.get(sector) ?? this.#zero;
    return [...new Set(versions.filter(({ write }) => write.certain).map(({ content }) => content))];
  }

  /** Sectors that were ever written. */
  touched(): readonly number[] {
    return [...this.#sectors.keys()];
  }

  /** How many sectors may have more than one content. */
  open(): number {
    let count = 0;
    for (const sector of this.#sectors.keys()) if (this.possible(sector).length > 1) count++;
    return count;
  }

  /** Takes the event at that place of the recording, which is of this disk. Returns the sectors it has changed. */
  take(event: DiskEvent, at: number): readonly number[] {
    switch (event.kind) {
      case "write": {
        const first = event.offset / SECTOR;
        const count = event.data.length / SECTOR;
        const write = { first, count, came: at, done: Infinity, certain: false };
        this.#writes.set(event.request, { write, durable: event.durable });
        for (let index = 0; index < count; index++) {
          const content = this.#contents.number(event.data.subarray(index * SECTOR, (index + 1) * SECTOR));
          const versions = this.#sectors.get(first + index);
          if (versions === undefined) this.#sectors.set(first + index, [...this.#zero, { write, content }]);
          else versions.push({ write, content });
        }
        return sectorsOf([write]);
      }
      case "flush":
        this.#flushes.set(event.request, [...this.#cached]);
        return [];
      case "done": {
        if (event.failed) throw new Error(`request ${event.request} has failed: what it left is unknown`);
        const flushed = this.#flushes.get(event.request);
        if (flushed !== undefined) {
          this.#flushes.delete(event.request);
          return this.#settle(flushed.filter((write) => !write.certain));
        }
        const known = this.#writes.get(event.request);
        if (known === undefined) throw new Error(`request ${event.request} is done and never came`);
        this.#writes.delete(event.request);
        known.write.done = at;
        this.#cached.add(known.write);
        return known.durable ? this.#settle([known.write]) : [];
      }
      case "lost":
        throw new Error("the power was cut: what the disk holds is not recorded");
    }
  }

  #settle(writes: readonly Write[]): readonly number[] {
    for (const write of writes) {
      write.certain = true;
      this.#cached.delete(write);
    }
    const sectors = sectorsOf(writes);
    for (const sector of sectors) {
      const versions = this.#sectors.get(sector) ?? [];
      const last = Math.max(...versions.filter(({ write }) => write.certain).map(({ write }) => write.came));
      this.#sectors.set(
        sector,
        versions.filter(({ write }) => write.done > last),
      );
    }
    return sectors;
  }
}

function sectorsOf(writes: readonly Write[]): readonly number[] {
  const sectors = new Set<number>();
  for (const { first, count } of writes) for (let sector = first; sector < first + count; sector++) sectors.add(sector);
  return [...sectors];
}

/** Tells of the events of a recording which disk each is of: those of a request's end do not say it. */
export class DisksOfRequests {
  readonly #disks = new Map<number, number>();

  of(event: DiskEvent): number {
    if (event.kind === "lost") throw new Error("the power was cut: what the disks hold is not recorded");
    if (event.kind !== "done") {
      this.#disks.set(event.request, event.disk);
      return event.disk;
    }
    const disk = this.#disks.get(event.request);
    if (disk === undefined) throw new Error(`request ${event.request} is done and never came`);
    this.#disks.delete(event.request);
    return disk;
  }
}
