import { invalidType, invalidValue } from "../../errors";

import type { LvbCodec } from "./codec";
import { seal, unseal } from "./frame";
import { checkNumber } from "./numbers";

/** The highest value of a counter: 2^64-1. */
export const LVB_COUNTER_MAX: bigint = 2n ** 64n - 1n;

/** A counter from 0 to 2^64-1, such as a fencing token or a version number. */
export interface LvbCounter extends LvbCodec<bigint> {
  /**
   * The count that follows `value`. It never wraps: a counter that began anew would pass for an old one.
   * @throws {TypeError | RangeError} it would exceed 2^64-1, or `step` is below 1
   */
  next(value: bigint, step?: bigint): bigint;
}

/** Codec for a counter. */
export function lvbCounter(): LvbCounter {
  return {
    encode: (value) => {
      const count = checkNumber("u64", value, "value");
      return seal("counter", 0, (payload) => {
        payload.setBigUint64(0, count, true);
      });
    },
    decode: (lvb) =>
      unseal("counter", lvb, (payload, detail) =>
        detail === 0
          ? { state: "ok", value: payload.getBigUint64(0, true) }
          : { state: "foreign", reason: `holds a counter of an unknown layout (${detail})` },
      ),
    next: (value, step = 1n) => {
      const count = checkNumber("u64", value, "value");
      if (typeof step !== "bigint") throw invalidType("step", "a bigint", step);
      if (step < 1n) throw invalidValue("step", `is ${step}; a counter only goes up`);
      if (step > LVB_COUNTER_MAX - count) {
        throw invalidValue("value", `is ${count}; ${step} more than that exceeds the 8 bytes of a counter`);
      }
      return count + step;
    },
  };
}
