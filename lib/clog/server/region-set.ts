const PAGE_BITS = 1 << 15;

/** Region numbers, with memory only for the pages of 32768 that have had some. */
export class RegionSet {
  readonly #pages = new Map<number, Uint8Array>();

  has(region: number): boolean {
    const [byte, bit] = placeOf(region);
    return ((this.#page(region)?.[byte] ?? 0) & bit) !== 0;
  }

  add(region: number): void {
    const [byte, bit] = placeOf(region);
    const page = this.#page(region) ?? new Uint8Array(PAGE_BITS / 8);
    page[byte] = (page[byte] ?? 0) | bit;
    this.#pages.set(Math.floor(region / PAGE_BITS), page);
  }

  delete(region: number): void {
    const [byte, bit] = placeOf(region);
    const page = this.#page(region);
    if (page) page[byte] = (page[byte] ?? 0) & ~bit;
  }

  clear(): void {
    this.#pages.clear();
  }

  #page(region: number): Uint8Array | undefined {
    return this.#pages.get(Math.floor(region / PAGE_BITS));
  }
}

function placeOf(region: number): [byte: number, bit: number] {
  return [(region % PAGE_BITS) >> 3, 1 << (region & 7)];
}
