import type { BlockDevice } from "./block-device";
import type { FoundDevice } from "./find-device";
import { checkedOpen } from "./log-device";

/** The legs of a mirror, opened for nothing but to flush their caches. */
export class Legs {
  /** "MAJOR:MINOR". */
  readonly numbers: readonly string[];
  readonly #devices: readonly BlockDevice[];

  private constructor(numbers: readonly string[], devices: readonly BlockDevice[]) {
    this.numbers = numbers;
    this.#devices = devices;
  }

  /** Throws a {@link ClogError} when one of them cannot be opened. */
  static async open(numbers: readonly string[], find: (word: string) => Promise<FoundDevice>): Promise<Legs> {
    const opened = await Promise.allSettled(numbers.map(async (number) => checkedOpen(await find(number))));
    const devices = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const failed = opened.find((result) => result.status === "rejected");
    if (failed) {
      await Promise.all(devices.map((device) => device.close()));
      throw failed.reason;
    }
    return new Legs(numbers, devices);
  }

  /** What was written to any of them before is durable. May last for ever: a suspended leg does not answer. */
  async flush(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.flush()));
  }

  /** Does not wait for a flush. */
  close(): void {
    for (const device of this.#devices) void device.close();
  }
}
