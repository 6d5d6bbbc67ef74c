import { invalidType } from "../../errors";
import { LVB_SIZE } from "../lvb";

/** What the bytes of a value block say to a codec. */
export type LvbReading<T> =
  /**
   * 32 zero bytes. Nobody has written a value yet, or it was lost: the kernel tells neither from the other. Do not take
   * this for a licence to begin at zero where that would hurt.
   */
  | { readonly state: "empty" }
  /** What `encode` was given, here or on another node. */
  | { readonly state: "ok"; readonly value: T }
  /** Bytes that another codec, another layout or another program has written. */
  | { readonly state: "foreign"; readonly reason: string }
  /** Bytes that are of this kind, but damaged. */
  | { readonly state: "corrupt"; readonly reason: string };

/** Turns values into the 32 bytes of a value block and back. Codecs keep no state: one serves any number of locks. */
export interface LvbCodec<T> {
  /**
   * The bytes to write: for the option `lvb` of `lock()`, `tryLock()`, `convert()` and `release()`.
   * @throws {TypeError | RangeError} the value does not fit
   */
  encode(value: T): Uint8Array;
  /**
   * What `lock.lvb` holds. No bytes whatever make it throw.
   * @throws {TypeError} no bytes at all: the lock was not asked to read (`lvb: true`)
   */
  decode(lvb: Uint8Array | undefined): LvbReading<T>;
}

/** A value block as a lock has it; every `Lock` is one. */
export interface LvbSource {
  readonly lvb: Uint8Array | undefined;
  readonly lvbValid: boolean | undefined;
}

/**
 * What a lock's value block says, the kernel's verdict included: with `lvbValid` false, what the bytes say is only the
 * `last` word that is known, perhaps not the last one written.
 * @throws {TypeError} the lock was not asked to read (`lvb: true`)
 */
export function decodeLvb<T>(
  codec: LvbCodec<T>,
  source: LvbSource,
): LvbReading<T> | { readonly state: "invalid"; readonly last: LvbReading<T> } {
  const reading = codec.decode(source.lvb);
  return source.lvbValid === false ? { state: "invalid", last: reading } : reading;
}

/** @throws TypeError: taking "never asked for" for "empty" would let a forgotten option wipe a value out. */
export function checkBlock(lvb: unknown): Uint8Array {
  if (lvb instanceof Uint8Array) return lvb;
  throw invalidType("lvb", `the ${LVB_SIZE} bytes of a value block, which a lock reads with { lvb: true }`, lvb);
}

/** Undefined when it is no whole value block; otherwise a copy, which nobody changes while it is looked at. */
export function wholeBlock(lvb: Uint8Array): Uint8Array | undefined {
  return lvb.length === LVB_SIZE ? Uint8Array.from(lvb) : undefined;
}

export function notWhole(lvb: Uint8Array): { state: "corrupt"; reason: string } {
  return { state: "corrupt", reason: `is ${lvb.length} bytes long; a value block has ${LVB_SIZE}` };
}
