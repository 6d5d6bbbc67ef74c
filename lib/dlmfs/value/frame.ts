import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

import { invalidType, invalidValue } from "../../errors";

/** Bytes of a value block of ocfs2_dlmfs, on both cluster stacks. Source: fs/ocfs2/dlmfs/dlmfs.c, DLM_LVB_LEN. */
export const VALUE_BLOCK_SIZE = 64;

// The layout is a contract with programs in other languages: docs/dlmfs-values.md, "The frame".
const MAGIC = 0x64cb;
const KIND_AT = 2;
const LENGTH_AT = 3;
const CRC_AT = 4;
const EPOCH_AT = 8;
const SEQUENCE_AT = 16;
const PAYLOAD_AT = 24;

/** How many bytes a framed value has at most. */
export const PAYLOAD_MAX: number = VALUE_BLOCK_SIZE - PAYLOAD_AT;
const COUNTER_SIZE = 8;

/** The highest number that 8 bytes hold: 2^64-1. */
export const U64_MAX: bigint = 2n ** 64n - 1n;

/** What is in a frame. */
export type FrameKind = "bytes" | "counter";

// The numbers are part of the layout.
const KINDS = { lost: 0, bytes: 1, counter: 2 } as const;

/** A frame that a value block holds, or is to hold. */
export interface Frame {
  kind: FrameKind;
  /** Chosen at random whenever the value is initialised, and never 0: values of different epochs have no order. */
  epoch: bigint;
  /** Raised by each write. */
  sequence: bigint;
  /** At most 40 bytes; a counter's are 8, its little-endian number. */
  payload: Uint8Array;
}

/** How far a value had come: enough to know later that a block is older, or begun anew. */
export interface FrameMark {
  epoch: bigint;
  sequence: bigint;
  /** The frame's CRC-32. With it, another value under the same numbers is known for another. */
  checksum?: number | undefined;
}

/** What the bytes of a value block say by themselves. */
export type FrameReading =
  /** 64 zero bytes: never written, or lost. The kernel tells neither from the other. */
  | { readonly state: "empty" }
  /** A frame; `checksum` is its CRC-32. */
  | { readonly state: "ok"; readonly frame: Frame; readonly checksum: number }
  /** Somebody was told by the kernel that the value is lost, and wrote it down. `last` is what was known of it. */
  | { readonly state: "lost"; readonly last: FrameMark | undefined }
  /** Another program's bytes, or a frame of another kind. */
  | { readonly state: "foreign"; readonly reason: string }
  /** A frame that is damaged. */
  | { readonly state: "corrupt"; readonly reason: string };

/**
 * The 64 bytes of a frame. All numbers are little endian; the rest is zeros.
 *
 * | bytes | what                                                           |
 * | ----- | -------------------------------------------------------------- |
 * | 0-1   | 0xcb 0x64                                                      |
 * | 2     | kind: 0 mark of a loss, 1 bytes, 2 counter                     |
 * | 3     | length of the payload, 0 to 40                                 |
 * | 4-7   | CRC-32 (zlib's, 0xedb88320) of all 64 bytes with zeros here    |
 * | 8-15  | epoch                                                          |
 * | 16-23 | sequence                                                       |
 * | 24-63 | payload; a counter's is its u64. A mark of a loss has none     |
 *
 * @throws {TypeError | RangeError} a number or the payload does not fit
 */
export function encodeFrame(frame: Frame): Uint8Array {
  checkNumber(frame.epoch, "epoch", 1n);
  checkNumber(frame.sequence, "sequence", 0n);
  checkPayload(frame.payload, frame.kind);
  return seal(KINDS[frame.kind], frame.epoch, frame.sequence, frame.payload);
}

/** The mark of a loss: says to everybody what the kernel said to one. */
export function encodeLoss(last: FrameMark | undefined): Uint8Array {
  return seal(KINDS.lost, last?.epoch ?? 0n, last?.sequence ?? 0n, new Uint8Array());
}

function seal(kind: number, epoch: bigint, sequence: bigint, payload: Uint8Array): Uint8Array {
  const block = new Uint8Array(VALUE_BLOCK_SIZE);
  const view = new DataView(block.buffer);
  view.setUint16(0, MAGIC, true);
  view.setUint8(KIND_AT, kind);
  view.setUint8(LENGTH_AT, payload.length);
  view.setBigUint64(EPOCH_AT, epoch, true);
  view.setBigUint64(SEQUENCE_AT, sequence, true);
  block.set(payload, PAYLOAD_AT);
  view.setUint32(CRC_AT, checksumOf(block), true);
  return block;
}

/** Looks at a value block for a frame of this kind. No bytes whatever make it throw. */
export function decodeFrame(given: Uint8Array, kind: FrameKind = "bytes"): FrameReading {
  if (given.length !== VALUE_BLOCK_SIZE) {
    return { state: "corrupt", reason: `is ${given.length} bytes long; a value block has ${VALUE_BLOCK_SIZE}` };
  }
  // a copy, which nobody changes while it is looked at
  const block = Uint8Array.from(given);
  if (block.every((byte) => byte === 0)) return { state: "empty" };
  const view = new DataView(block.buffer);
  if (view.getUint16(0, true) !== MAGIC) {
    return { state: "foreign", reason: "has no frame: it is another program's" };
  }
  const checksum = view.getUint32(CRC_AT, true);
  if (checksum !== checksumOf(block)) {
    return { state: "corrupt", reason: "has a checksum that does not match its bytes" };
  }
  const mark = { epoch: view.getBigUint64(EPOCH_AT, true), sequence: view.getBigUint64(SEQUENCE_AT, true) };
  const found = view.getUint8(KIND_AT);
  if (found === KINDS.lost) return { state: "lost", last: mark.epoch === 0n ? undefined : mark };
  if (found !== KINDS[kind])
    return { state: "foreign", reason: `holds a value of kind ${kindName(found)}, not ${kind}` };
  const length = view.getUint8(LENGTH_AT);
  if (!fits(kind, length) || mark.epoch === 0n) {
    return { state: "corrupt", reason: "is a frame that says of itself what cannot be" };
  }
  const payload = block.slice(PAYLOAD_AT, PAYLOAD_AT + length);
  return { state: "ok", frame: { kind, ...mark, payload }, checksum };
}

/** How far a value has come that is in a block as `encodeFrame` made it. */
export function markOf(block: Uint8Array): FrameMark {
  const view = new DataView(block.buffer, block.byteOffset);
  return {
    epoch: view.getBigUint64(EPOCH_AT, true),
    sequence: view.getBigUint64(SEQUENCE_AT, true),
    checksum: view.getUint32(CRC_AT, true),
  };
}

/** An epoch that is none of these. */
export function newEpoch(used: ReadonlySet<bigint>): bigint {
  for (;;) {
    const epoch = randomBytes(8).readBigUInt64LE();
    if (epoch !== 0n && !used.has(epoch)) return epoch;
  }
}

/**
 * A copy of the payload, which nobody changes while it waits.
 * @throws TypeError, RangeError
 */
export function checkPayload(payload: unknown, kind: FrameKind): Uint8Array {
  if (!(payload instanceof Uint8Array)) throw invalidType("payload", "a Uint8Array", payload);
  if (fits(kind, payload.length)) return Uint8Array.from(payload);
  const room = kind === "counter" ? `a counter's ${COUNTER_SIZE}` : `the ${PAYLOAD_MAX} of a framed value`;
  throw invalidValue("payload", `is ${payload.length} bytes long, and does not fit ${room}`);
}

/** @throws TypeError, RangeError */
export function checkNumber(value: unknown, name: string, least: bigint): bigint {
  if (typeof value !== "bigint") throw invalidType(name, "a bigint", value);
  if (value >= least && value <= U64_MAX) return value;
  throw invalidValue(name, `is ${value}, and not between ${least} and 2^64-1`);
}

function fits(kind: FrameKind, length: number): boolean {
  return kind === "counter" ? length === COUNTER_SIZE : length <= PAYLOAD_MAX;
}

function checksumOf(block: Uint8Array): number {
  const bytes = Uint8Array.from(block);
  bytes.fill(0, CRC_AT, CRC_AT + 4);
  return crc32(bytes);
}

function kindName(number: number): string {
  return Object.entries(KINDS).find(([, known]) => known === number)?.[0] ?? `unknown (${number})`;
}
