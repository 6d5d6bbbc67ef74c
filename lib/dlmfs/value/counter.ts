import { checkObject, checkSignal } from "../../checks";
import { LockStateError, invalidType, invalidValue } from "../../errors";

import { U64_MAX, checkNumber } from "./frame";
import { FramedValue } from "./framed-value";
import type { ValueDomain, ValueLock } from "./locks";
import type { FramedReading } from "./memory";

/**
 * Says what to go on with when the count is not to be had: the highest count that may have been given out, perhaps read
 * back from where the counts are used. The lock is held in EX meanwhile.
 *
 * @param last the highest count that this counter knows; the answer must not be below it
 * @param reading what the value block says. `empty`, where the count may never have existed; `ok` and `reset`, where it
 *   is below `last`
 */
export type OnCountLost = (last: bigint | undefined, reading: FramedReading) => bigint | Promise<bigint>;

export interface DomainCounterOptions {
  /** Without it a count that is not to be had rejects with ERR_LVB_LOST, and so does one that never was. */
  onLost?: OnCountLost | undefined;
  /** The highest count known, from wherever it was kept. A lower one counts as lost. */
  last?: bigint | undefined;
}

export interface CounterCallOptions {
  /** Ends the wait for the lock. */
  signal?: AbortSignal | undefined;
}

/**
 * A counter from 0 to 2^64-1 in the value block of a lock, for all nodes of a domain: 8 bytes, little endian, in a frame
 * of kind counter. It takes the lock in EX for each call: a lock that is taken in PR and EX by turns can deadlock across
 * nodes in the kernel. The domain must keep others of the same node out, as it does by default.
 *
 * A counter object never gives a count that is not above all that it has given or seen. Across processes a value that
 * was lost is noticed by those who remember, and by no one else: keep `last` elsewhere where that is not enough.
 */
export class DomainCounter {
  readonly #domain: ValueDomain;
  readonly #name: string;
  readonly #value = new FramedValue({ kind: "counter" });
  readonly #onLost: OnCountLost | undefined;
  #last: bigint | undefined;

  /** @throws {TypeError | RangeError} a wrong argument */
  constructor(domain: ValueDomain, name: string, options?: DomainCounterOptions) {
    if (typeof name !== "string") throw invalidType("name", "a string", name);
    const { onLost, last } = checkObject(options);
    if (onLost !== undefined && typeof onLost !== "function") throw invalidType("options.onLost", "a function", onLost);
    this.#domain = domain;
    this.#name = name;
    this.#onLost = onLost as OnCountLost | undefined;
    this.#last = last === undefined ? undefined : checkNumber(last, "options.last", 0n);
  }

  /** The highest count that this object knows. */
  get last(): bigint | undefined {
    return this.#last;
  }

  /**
   * Adds `step` and gives the new count. A step of n reserves the n counts that end with it.
   *
   * @throws {TypeError | RangeError} a wrong argument; or the count would exceed 2^64-1: it never wraps
   * @throws {LockStateError} ERR_LVB_LOST: the count is not to be had, and there is no `onLost`
   * @throws as `acquire()` of a {@link FramedValue}
   */
  async next(step = 1n, options?: CounterCallOptions): Promise<bigint> {
    checkNumber(step, "step", 1n);
    const signal = checkSignal(checkObject(options)["signal"]);
    return this.#withValue(signal, async (lock, reading) => {
      const count = this.#countIn(reading);
      const from = count ?? (await this.#recover(reading));
      signal?.throwIfAborted();
      if (step > U64_MAX - from) {
        throw invalidValue("step", `is ${step}; from ${from} on that exceeds the 8 bytes of a counter`);
      }
      const next = from + step;
      const payload = new Uint8Array(8);
      new DataView(payload.buffer).setBigUint64(0, next, true);
      await (count === undefined ? this.#value.initialise(lock, payload) : this.#value.write(lock, payload));
      this.#last = next;
      return next;
    });
  }

  /**
   * The count as it stands.
   *
   * @throws {LockStateError} ERR_LVB_LOST: it is not to be had. `onLost` is not asked: reading settles nothing
   * @throws as `acquire()` of a {@link FramedValue}
   */
  async read(options?: CounterCallOptions): Promise<bigint> {
    const signal = checkSignal(checkObject(options)["signal"]);
    return this.#withValue(signal, (_, reading) => {
      const count = this.#countIn(reading);
      if (count === undefined) throw this.#lost(reading);
      return count;
    });
  }

  // A count below one that is known is no count to go on with, however sound its frame.
  #countIn(reading: FramedReading): bigint | undefined {
    if (reading.state !== "ok" && reading.state !== "reset") return undefined;
    const { buffer, byteOffset } = reading.payload;
    const count = new DataView(buffer, byteOffset).getBigUint64(0, true);
    if (count < (this.#last ?? 0n)) return undefined;
    this.#last = count;
    return count;
  }

  async #recover(reading: FramedReading): Promise<bigint> {
    if (!this.#onLost) throw this.#lost(reading);
    const from = checkNumber(await this.#onLost(this.#last, reading), "onLost", 0n);
    if (from >= (this.#last ?? 0n)) return from;
    throw invalidValue("onLost", `gave ${from}; the count has been at ${this.#last}, and never goes back`);
  }

  #lost(reading: FramedReading): LockStateError {
    const known = this.#last === undefined ? "" : ` (it has been at ${this.#last})`;
    return new LockStateError(
      "ERR_LVB_LOST",
      `the count of lock '${this.#name}' ${HOW[reading.state]}${known}; the option onLost says what to go on with`,
    );
  }

  async #withValue<T>(
    signal: AbortSignal | undefined,
    task: (lock: ValueLock, reading: FramedReading) => T | Promise<T>,
  ): Promise<T> {
    const { lock, reading } = await this.#value.acquire(this.#domain, this.#name, { signal });
    try {
      return await task(lock, reading);
    } finally {
      await lock.release();
    }
  }
}

const HOW: Record<FramedReading["state"], string> = {
  ok: "has gone back",
  reset: "was begun anew, below what it was",
  stale: "is an older one",
  lost: "is lost",
  invalid: "is lost",
  empty: "was never written, or is lost: the kernel cannot tell",
  foreign: "is none, but another program's value",
  corrupt: "is damaged",
};
