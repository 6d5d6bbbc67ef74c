// What a shared disk has taken and not yet made durable. Every node has a write-back cache of its own, and all see each
// other's latest writes: a sector is its durable content below the versions that nodes have written and not flushed, at
// most one for each node, in the order in which they came. The latest is what is read.
//
// A flush makes the node's versions durable, and moot what lies below them. A loss of the node's caches takes its versions
// away; what others wrote before or after stays. Pure: contents are handed in and out, nothing is read or written here.

export const SECTOR = 512;

interface Version {
  readonly node: number;
  /** Its content; undefined for the latest, whose content is the sector's. */
  data: Buffer | undefined;
}

interface Sector {
  durable: Buffer;
  versions: Version[];
}

/** A sector and the content that it falls back to. */
export interface Reversal {
  readonly sector: number;
  readonly data: Buffer;
}

export class Unflushed {
  readonly #sectors = new Map<number, Sector>();
  readonly #of = new Map<number, Set<number>>();
  readonly #capacity: number;

  /** `capacity`: sectors that may be unflushed; a disk whose cache is full writes out the oldest by itself. */
  constructor(capacity: number = 64 * 2048) {
    this.#capacity = capacity;
  }

  /** Whether a write by this node covers content that may be wanted again. */
  needsFormer(node: number, first: number, count: number): boolean {
    for (let sector = first; sector < first + count; sector++) {
      if (this.#sectors.get(sector)?.versions.at(-1)?.node !== node) return true;
    }
    return false;
  }

  /** A write by the node; `former` is what these sectors held, as far as `needsFormer`. */
  wrote(node: number, first: number, count: number, former: Buffer | undefined): void {
    for (let index = 0; index < count; index++) {
      const sector = first + index;
      if (this.#sectors.get(sector)?.versions.at(-1)?.node === node) continue;
      if (former === undefined) throw new Error("the former content is missing");
      this.#add(node, sector, former.subarray(index * SECTOR, (index + 1) * SECTOR));
    }
    while (this.#sectors.size > this.#capacity) this.#writeOutOldest();
  }

  /** The node's versions of these sectors, by default of all, are durable. */
  flushed(node: number, first: number = 0, count: number = Infinity): void {
    const own = this.#of.get(node);
    if (own === undefined) return;
    if (count < own.size) {
      for (let sector = first; sector < first + count; sector++) if (own.has(sector)) this.#settle(node, sector);
    } else {
      for (const sector of [...own]) if (sector >= first && sector < first + count) this.#settle(node, sector);
    }
  }

  /** The node's versions are gone, but for those that `keep` decides to have been written out. */
  lost(node: number, keep: (sector: number) => boolean): { count: number; reversals: Reversal[] } {
    const reversals: Reversal[] = [];
    let count = 0;
    for (const sector of [...(this.#of.get(node) ?? [])].sort((a, b) => a - b)) {
      if (keep(sector)) {
        this.#settle(node, sector);
        continue;
      }
      count++;
      const data = this.#remove(node, sector);
      if (data !== undefined) reversals.push({ sector, data });
    }
    return { count, reversals };
  }

  /** How many sectors the node has not flushed. */
  count(node: number): number {
    return this.#of.get(node)?.size ?? 0;
  }

  #add(node: number, number: number, former: Buffer): void {
    let sector = this.#sectors.get(number);
    if (sector === undefined) {
      sector = { durable: former, versions: [] };
      this.#sectors.set(number, sector);
    } else {
      const latest = sector.versions.at(-1);
      if (latest !== undefined) latest.data = former;
      // an older version of its own can never be wanted again
      sector.versions = sector.versions.filter((version) => version.node !== node);
    }
    sector.versions.push({ node, data: undefined });
    const own = this.#of.get(node) ?? new Set();
    own.add(number);
    this.#of.set(node, own);
  }

  #settle(node: number, number: number): void {
    const sector = this.#sectors.get(number);
    const index = sector?.versions.findIndex((version) => version.node === node) ?? -1;
    if (sector === undefined || index < 0) return;
    const [...settled] = sector.versions.splice(0, index + 1);
    for (const version of settled) this.#of.get(version.node)?.delete(number);
    const data = settled.at(-1)?.data;
    if (data === undefined) this.#sectors.delete(number);
    else sector.durable = data;
  }

  /** Returns what the sector has to hold again, unless another node's version is above. */
  #remove(node: number, number: number): Buffer | undefined {
    const sector = this.#sectors.get(number);
    if (sector === undefined) return undefined;
    this.#of.get(node)?.delete(number);
    const wasLatest = sector.versions.at(-1)?.node === node;
    sector.versions = sector.versions.filter((version) => version.node !== node);
    const latest = sector.versions.at(-1);
    if (latest === undefined) this.#sectors.delete(number);
    if (!wasLatest) return undefined;
    const data = latest === undefined ? sector.durable : latest.data;
    if (latest !== undefined) latest.data = undefined;
    return data;
  }

  #writeOutOldest(): void {
    const [oldest] = this.#sectors;
    if (oldest === undefined) return;
    const [number, sector] = oldest;
    for (const { node } of sector.versions) this.#of.get(node)?.delete(number);
    this.#sectors.delete(number);
  }
}
