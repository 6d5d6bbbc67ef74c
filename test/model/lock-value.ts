// What the holder of a lock sees of the value block, by the words of the API: LockOptions.lvb, ConvertOptions.lvb.

import type { LvbChoice } from "./commands";
import type { ValueUse } from "./queues";
import { unlockWrites, valueDirection } from "./tables";
import { VALUE_SIZE } from "./value";

export function block(first: number): Uint8Array {
  const bytes = new Uint8Array(VALUE_SIZE);
  bytes[0] = first;
  return bytes;
}

/** What the kernel says of the value with a grant; see KernelEvent. */
export type Delivery = { readonly bytes: Uint8Array | undefined; readonly invalid: boolean } | undefined;

export class LockValue {
  bytes: Uint8Array | undefined;
  valid: boolean | undefined;
  #takesPart = false;
  #toWrite: Uint8Array | undefined;

  /** What to ask of the kernel, and what to do with its answer, if it grants. */
  plan(from: number, to: number, choice: LvbChoice | undefined): { use: ValueUse; done: (delivery: Delivery) => void } {
    const takesPart = choice === undefined ? this.#takesPart : choice !== "off";
    const toWrite = typeof choice === "number" ? block(choice) : choice === "off" ? undefined : this.#toWrite;
    const writes = valueDirection(from, to) === "write";
    return {
      use: { takesPart: takesPart && (!writes || toWrite !== undefined), write: writes ? toWrite : undefined },
      done: (delivery) => {
        this.#takesPart = takesPart;
        // written once, or never wanted any more
        this.#toWrite = writes ? undefined : toWrite;
        if (!delivery) return;
        if (delivery.bytes) this.bytes = delivery.bytes;
        if (delivery.invalid) this.valid = false;
        else if (delivery.bytes) this.valid = true;
      },
    };
  }

  /** The same for a conversion that flags the value. */
  planInvalidation(): { use: ValueUse; done: (delivery: Delivery) => void } {
    return {
      use: { takesPart: false, invalidate: true },
      done: () => {
        this.#toWrite = undefined;
        this.valid = false;
      },
    };
  }

  /** What a release from `mode` writes. */
  atRelease(mode: number, given: number | "invalidate" | undefined): Uint8Array | "invalidate" | undefined {
    if (!unlockWrites(mode)) return undefined;
    if (given === "invalidate") return given;
    return given === undefined ? this.#toWrite : block(given);
  }
}
