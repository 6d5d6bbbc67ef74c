import type { NativeRegions } from "../../native";

/**
 * Which region the kernel is to recover next: the first that is not in sync, and that was not tried since the resume. One
 * that failed would fail again as long as its leg does.
 */
export class Resync {
  readonly #regions: NativeRegions;
  #next = 0;
  #handedOut: number | undefined;
  // a bit for each region that failed; only when one has
  #failed: Uint8Array | undefined;
  #paused = false;

  constructor(regions: NativeRegions) {
    this.#regions = regions;
  }

  /** At a resume: every region may be tried again. */
  restart(): void {
    this.#next = 0;
    this.#handedOut = undefined;
    this.#failed = undefined;
  }

  get paused(): boolean {
    return this.#paused;
  }

  set paused(on: boolean) {
    this.#paused = on;
  }

  /** The same one again, until it was settled: the kernel may not have got the answer. */
  next(): number | undefined {
    if (this.#paused) return undefined;
    if (this.#handedOut !== undefined) return this.#handedOut;
    let region = this.#regions.nextUnsynced(this.#next);
    while (region < this.#regions.count && this.#hasFailed(region)) region = this.#regions.nextUnsynced(region + 1);
    this.#next = region;
    return region < this.#regions.count ? (this.#handedOut = region) : undefined;
  }

  /** Whether that is news of a failure. */
  settle(region: number, inSync: boolean): boolean {
    if (region === this.#handedOut) {
      this.#handedOut = undefined;
      this.#next = region + 1;
    }
    const failedBefore = this.#hasFailed(region);
    if (inSync === !failedBefore) return false;
    this.#failed ??= new Uint8Array(Math.ceil(this.#regions.count / 8));
    const bit = 1 << (region % 8);
    const byte = this.#failed[Math.floor(region / 8)] ?? 0;
    this.#failed[Math.floor(region / 8)] = inSync ? byte & ~bit : byte | bit;
    return !inSync;
  }

  #hasFailed(region: number): boolean {
    return ((this.#failed?.[Math.floor(region / 8)] ?? 0) >> (region % 8)) % 2 === 1;
  }
}
