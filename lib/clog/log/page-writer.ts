import type { NativeRegions } from "../../native";

import type { LogReport } from "./dirty-log";
import { PAGE_SIZE } from "./disk-format";
import type { LogDevice } from "./log-device";

/**
 * Brings what the regions say to the log device, one write after the other: a page is as new as the last write of it, and
 * two of one page would leave the older one.
 */
export class PageWriter {
  readonly #regions: NativeRegions;
  readonly #device: LogDevice;
  readonly #report: (event: LogReport) => void;
  readonly #page: Uint8Array = new Uint8Array(PAGE_SIZE);
  #last: Promise<void> = Promise.resolve();
  #failed = false;
  // why nothing may be written
  #held: Error | undefined;
  // what stands before the bits until all of them are there
  #head: Uint8Array | undefined;

  constructor(regions: NativeRegions, device: LogDevice, report: (event: LogReport) => void) {
    this.#regions = regions;
    this.#device = device;
    this.#report = report;
  }

  /** Whether the log device failed, and has not taken a page since. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Durable when it has ended: whatever may say "clean" and must not. Throws what the device's write failed with. */
  flush(): Promise<void> {
    return this.write(() => this.#regions.pending());
  }

  /** Which pages is asked when all that was to be written before has been. */
  write(pages: () => readonly number[]): Promise<void> {
    const result = this.#last.then(() => this.#write(pages()));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Waits for what is under way. From then on every write fails with `reason`, and the device is left alone. */
  async hold(reason: Error): Promise<void> {
    this.#held = reason;
    await this.#last;
  }

  /** The end of hold(). `head`: what is before the bits, when it does not make all of these bits count. */
  release(head?: Uint8Array): void {
    this.#held = undefined;
    this.#head = head;
  }

  /** The device failed by other means than a write. */
  fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#report({ kind: "log-device-failed", device: this.#device.name, error });
  }

  async #write(pages: readonly number[]): Promise<void> {
    if (pages.length === 0) return;
    if (this.#held) throw this.#held;
    try {
      // the first page, which has the header, at last
      for (const page of [...pages].reverse()) {
        this.#regions.page(page, this.#page);
        if (page === 0 && this.#head) await this.#writeBits(this.#head);
        await this.#device.writePage(page, this.#page);
        this.#regions.written(page, this.#page);
      }
    } catch (error) {
      this.fail(error as Error);
      throw error;
    }
    if (!this.#failed) return;
    this.#failed = false;
    this.#report({ kind: "log-device-recovered", device: this.#device.name });
  }

  // A disk promises sectors, not requests: of a write with header and bits, a power cut may leave the header with whatever was
  // where the bits should be. So the bits are there before the header makes them count.
  async #writeBits(head: Uint8Array): Promise<void> {
    const bits = Uint8Array.from(this.#page);
    bits.set(head);
    await this.#device.writePage(0, bits);
    this.#head = undefined;
  }
}
