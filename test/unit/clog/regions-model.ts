import type { NativeRegions } from "../../../lib/native";

const PAGE = 4096;
const BITS = 1024;
const MAGIC = 0x4d695272;

interface Region {
  sync: boolean;
  marked: boolean;
  /** In sync and not marked, and the legs were flushed since. */
  proven: boolean;
  /** The log device may say "clean". */
  onDisk: boolean;
  /** Of the round of clears that is under way. */
  candidate: boolean;
}

/** What files hold, by path. */
export type RegionFiles = Map<string, Region[]>;

/**
 * What csrc/clog/regions.h says, region by region and without any cleverness. A file's contents are kept in `files`, as a
 * file is kept: what a process had in memory of its own is lost.
 */
export class RegionsModel implements NativeRegions {
  readonly count: number;
  readonly pages: number;
  readonly restored: boolean;
  readonly #durable: boolean;
  readonly #regions: Region[];
  #pending: Set<number> = new Set();
  #clearing = false;
  #closed = false;

  constructor(count: number, durable: boolean, path?: string, files: RegionFiles = new Map()) {
    this.count = count;
    this.#durable = durable;
    this.pages = durable ? Math.ceil((BITS + Math.ceil(count / 64) * 8) / PAGE) : 0;
    const kept = path === undefined ? undefined : files.get(path);
    const fresh = (): Region => ({ sync: false, marked: false, proven: false, onDisk: false, candidate: false });
    this.restored = kept?.length === count;
    this.#regions = kept?.length === count ? kept : Array.from({ length: count }, fresh);
    if (path !== undefined) files.set(path, this.#regions);
    for (let page = 0; page < this.pages; page++) this.#recheck(page);
  }

  isClean(region: number): boolean {
    const found = this.#at(region);
    return found !== undefined && found.sync && !found.marked;
  }

  inSync(region: number): boolean {
    return this.#at(region)?.sync ?? false;
  }

  mark(regions: readonly number[]): void {
    for (const region of regions) {
      const found = this.#at(region);
      if (!found) continue;
      found.marked = true;
      this.#disprove(region, found);
    }
  }

  clear(regions: readonly number[]): void {
    for (const region of regions) {
      const found = this.#at(region);
      if (found) found.marked = false;
    }
  }

  setSync(region: number, inSync: boolean): void {
    const found = this.#at(region);
    if (!found) return;
    found.sync = inSync;
    if (!inSync) this.#disprove(region, found);
  }

  counts(): { inSync: number; marked: number; clean: number } {
    this.#check();
    const of = (which: "sync" | "marked" | "onDisk"): number => this.#regions.filter((region) => region[which]).length;
    return { inSync: of("sync"), marked: of("marked"), clean: of("onDisk") };
  }

  nextUnsynced(from: number): number {
    this.#check();
    for (let region = from; region < this.count; region++) if (!this.#regions[region]!.sync) return region;
    return this.count;
  }

  load(bits: Uint8Array, valid: number, rest: boolean, also?: NativeRegions): void {
    this.#check();
    const allowed = this.#regions.map((_, region) => !also || region >= also.count || also.isClean(region));
    for (const [region, found] of this.#regions.entries()) {
      const said = region < valid ? (((bits[region >> 3] ?? 0) >> (region % 8)) & 1) === 1 : rest;
      found.sync = said && allowed[region]!;
      found.marked = false;
      found.candidate = false;
      found.proven = this.#durable && found.sync;
      found.onDisk = this.#durable;
    }
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
    for (const [region, found] of this.#on(page)) {
      const at = BITS + (region >> 3) - page * PAGE;
      if (found.proven) content[at]! |= 1 << (region % 8);
    }
    target.set(content);
  }

  written(page: number, content: Uint8Array): void {
    this.#check();
    for (const [region, found] of this.#on(page)) {
      const at = BITS + (region >> 3) - page * PAGE;
      if (((content[at]! >> (region % 8)) & 1) === 0) found.onDisk = false;
    }
    this.#recheck(page);
  }

  beginClears(): number {
    this.#check();
    if (!this.#durable) return 0;
    for (const found of this.#regions) found.candidate = found.sync && !found.marked && !found.proven;
    const found = this.#regions.filter(({ candidate }) => candidate).length;
    this.#clearing = found > 0;
    return found;
  }

  commitClears(): number[] {
    this.#check();
    const changed = new Set<number>();
    if (this.#clearing) {
      for (const [region, found] of this.#regions.entries()) {
        if (!found.candidate) continue;
        found.proven = found.onDisk = true;
        changed.add(pageOf(region));
      }
    }
    this.#clearing = false;
    return [...changed].sort((one, other) => one - other);
  }

  abandonClears(): void {
    this.#check();
    this.#clearing = false;
  }

  close(): void {
    this.#closed = true;
  }

  #check(): void {
    if (this.#closed) throw new Error("the regions are closed");
  }

  #at(region: number): Region | undefined {
    this.#check();
    return this.#regions[region];
  }

  *#on(page: number): Generator<[number, Region]> {
    for (const [region, found] of this.#regions.entries()) if (pageOf(region) === page) yield [region, found];
  }

  #disprove(region: number, found: Region): void {
    if (!this.#durable) return;
    found.proven = false;
    found.candidate = false;
    if (found.onDisk) this.#pending.add(pageOf(region));
  }

  #recheck(page: number): void {
    const wrong = [...this.#on(page)].some(([, found]) => found.onDisk && !found.proven);
    if (wrong) this.#pending.add(page);
    else this.#pending.delete(page);
  }
}

function pageOf(region: number): number {
  return Math.floor((BITS + (region >> 3)) / PAGE);
}
