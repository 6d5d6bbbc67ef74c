import type { NativeRegions } from "../../../lib/native";

const PAGE = 4096;
const BITS = 1024;
const MAGIC = 0x4d695272;

// what is known of a region
const SYNC = 1;
const MARKED = 2;
/** In sync and not marked, and the legs were flushed since. */
const PROVEN = 4;
/** The log device may say "clean". */
const ON_DISK = 8;
/** Of the round of clears that is under way. */
const CANDIDATE = 16;

/** What files hold, by path. */
export type RegionFiles = Map<string, Uint8Array>;

/**
 * What csrc/clog/regions.h says, region by region and without any cleverness. A file's contents are kept in `files`, as a
 * file is kept: what a process had in memory of its own is lost.
 */
export class RegionsModel implements NativeRegions {
  readonly count: number;
  readonly pages: number;
  readonly restored: boolean;
  readonly #durable: boolean;
  readonly #regions: Uint8Array;
  #pending: Set<number> = new Set();
  #clearing = false;
  #closed = false;

  constructor(count: number, durable: boolean, path?: string, files: RegionFiles = new Map()) {
    this.count = count;
    this.#durable = durable;
    this.pages = durable ? Math.ceil((BITS + Math.ceil(count / 64) * 8) / PAGE) : 0;
    const kept = path === undefined ? undefined : files.get(path);
    // the last one is for whether clears are stopped
    const size = count + 1;
    this.restored = kept?.length === size;
    this.#regions = kept?.length === size ? kept : new Uint8Array(size);
    if (path !== undefined) files.set(path, this.#regions);
    for (let page = 0; page < this.pages; page++) this.#recheck(page);
  }

  isClean(region: number): boolean {
    return (this.#at(region) & (SYNC | MARKED)) === SYNC;
  }

  inSync(region: number): boolean {
    return (this.#at(region) & SYNC) !== 0;
  }

  mark(regions: readonly number[]): void {
    for (const region of regions) {
      this.#put(region, MARKED, true);
      this.#disprove(region);
    }
  }

  clear(regions: readonly number[]): void {
    for (const region of regions) this.#put(region, MARKED, false);
  }

  setSync(region: number, inSync: boolean): void {
    this.#put(region, SYNC, inSync);
    if (!inSync) this.#disprove(region);
  }

  counts(): { inSync: number; marked: number; clean: number } {
    this.#check();
    const regions = this.#regions.subarray(0, this.count);
    const of = (flag: number): number => regions.reduce((sum, region) => sum + (region & flag ? 1 : 0), 0);
    return { inSync: of(SYNC), marked: of(MARKED), clean: of(ON_DISK) };
  }

  nextUnsynced(from: number): number {
    this.#check();
    for (let region = from; region < this.count; region++) if (!this.inSync(region)) return region;
    return this.count;
  }

  load(bits: Uint8Array, valid: number, rest: boolean, also?: NativeRegions): void {
    this.#check();
    for (let region = 0; region < this.count; region++) {
      const said = region < valid ? (((bits[region >> 3] ?? 0) >> (region % 8)) & 1) === 1 : rest;
      const sync = said && (!also || region >= also.count || also.isClean(region));
      this.#regions[region] = (sync ? SYNC : 0) | (this.#durable ? ON_DISK : 0) | (this.#durable && sync ? PROVEN : 0);
    }
    this.#regions[this.count] = 0;
    this.#clearing = false;
    this.#pending = new Set(Array.from({ length: this.pages }, (_, page) => page));
  }

  pending(): number[] {
    this.#check();
    return [...this.#pending].sort((one, other) => one - other);
  }

  page(page: number, target: Uint8Array): void {
    this.#check();
    const content = Buffer.alloc(PAGE);
    if (page === 0) {
      content.writeUInt32LE(MAGIC, 0);
      content.writeUInt32LE(2, 4);
      content.writeBigUInt64LE(BigInt(this.count), 8);
    }
    for (const region of this.#on(page)) {
      const at = BITS + (region >> 3) - page * PAGE;
      if (this.#at(region) & PROVEN) content[at]! |= 1 << (region % 8);
    }
    target.set(content);
  }

  written(page: number, content: Uint8Array): void {
    this.#check();
    for (const region of this.#on(page)) {
      const at = BITS + (region >> 3) - page * PAGE;
      if (((content[at]! >> (region % 8)) & 1) === 0) this.#put(region, ON_DISK, false);
    }
    this.#recheck(page);
  }

  beginClears(): number {
    this.#check();
    if (!this.#durable || this.clearsStopped()) return 0;
    let found = 0;
    for (let region = 0; region < this.count; region++) {
      const candidate = (this.#at(region) & (SYNC | MARKED | PROVEN)) === SYNC;
      this.#put(region, CANDIDATE, candidate);
      if (candidate) found++;
    }
    this.#clearing = found > 0;
    return found;
  }

  commitClears(): number[] {
    this.#check();
    const changed = new Set<number>();
    for (let region = 0; this.#clearing && region < this.count; region++) {
      if ((this.#at(region) & CANDIDATE) === 0) continue;
      this.#put(region, PROVEN | ON_DISK, true);
      changed.add(pageOf(region));
    }
    this.#clearing = false;
    return [...changed].sort((one, other) => one - other);
  }

  abandonClears(): void {
    this.#check();
    this.#clearing = false;
  }

  stopClears(): void {
    this.abandonClears();
    this.#regions[this.count] = 1;
  }

  clearsStopped(): boolean {
    this.#check();
    return this.#regions[this.count] === 1;
  }

  close(): void {
    this.#closed = true;
  }

  #check(): void {
    if (this.#closed) throw new Error("the regions are closed");
  }

  #at(region: number): number {
    this.#check();
    return region < this.count ? (this.#regions[region] ?? 0) : 0;
  }

  #put(region: number, flags: number, on: boolean): void {
    const now = this.#at(region);
    if (region < this.count) this.#regions[region] = on ? now | flags : now & ~flags;
  }

  *#on(page: number): Generator<number> {
    const first = page === 0 ? 0 : (page * PAGE - BITS) * 8;
    for (let region = first; region < this.count && pageOf(region) === page; region++) yield region;
  }

  #disprove(region: number): void {
    if (!this.#durable) return;
    this.#put(region, PROVEN | CANDIDATE, false);
    if (this.#at(region) & ON_DISK) this.#pending.add(pageOf(region));
  }

  #recheck(page: number): void {
    let wrong = false;
    for (const region of this.#on(page)) wrong ||= (this.#at(region) & (ON_DISK | PROVEN)) === ON_DISK;
    if (wrong) this.#pending.add(page);
    else this.#pending.delete(page);
  }
}

function pageOf(region: number): number {
  return Math.floor((BITS + (region >> 3)) / PAGE);
}
