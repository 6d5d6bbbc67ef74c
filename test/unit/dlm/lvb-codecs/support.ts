import assert from "node:assert/strict";

import type { LvbCodec } from "../../../../lib/dlm/lvb-codecs";

export const valueError = (message: RegExp): object => ({ name: "RangeError", code: "ERR_INVALID_ARG_VALUE", message });
export const typeError = (message: RegExp): object => ({ name: "TypeError", code: "ERR_INVALID_ARG_TYPE", message });

/** A block from its bytes in hexadecimal, spaces for the reader's sake; zeros to the end. */
export function block(hex: string): Uint8Array {
  const bytes = new Uint8Array(32);
  bytes.set(Buffer.from(hex.replaceAll(" ", ""), "hex"));
  return bytes;
}

/** What went through the cluster is what came in. */
export function assertSurvives<T>(codec: LvbCodec<T>, value: T): void {
  const bytes = codec.encode(value);
  assert.equal(bytes.length, 32);
  assert.deepEqual(codec.decode(bytes), { state: "ok", value });
}

/** Whole numbers below `limit` that follow from a seed. */
export type Dice = (limit: number) => number;

/** Calls `body` again and again with dice of its own; a failure names the seed that $CLUSTERLOCK_SEED repeats. */
export function property(rounds: number, body: (dice: Dice) => void): void {
  const first = Number(process.env["CLUSTERLOCK_SEED"] ?? Date.now() % 1_000_000);
  for (let round = 0; round < rounds; round++) {
    const seed = first + round;
    try {
      body(diceFrom(seed));
    } catch (error) {
      if (error instanceof Error) error.message += ` (CLUSTERLOCK_SEED=${seed})`;
      throw error;
    }
  }
}

function diceFrom(seed: number): Dice {
  let state = seed;
  return (limit) => {
    // splitmix32: neighbouring seeds must not give neighbouring numbers
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % limit;
  };
}

export function randomBytes(dice: Dice, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => dice(256));
}
