import { crc32 } from "node:zlib";

import { LVB_SIZE } from "../lvb";

import { type LvbReading, checkBlock, notWhole, wholeBlock } from "./codec";

// The layout is a contract with programs in other languages: docs/dlm.md, "The frame". All numbers little endian.
const MAGIC = 0xcb;
const KIND_AT = 1;
const DETAIL_AT = 2;
const CRC_AT = 4;

/** Where a framed value begins; a multiple of 8, so that any C structure can lie there. */
export const PAYLOAD_AT = 8;
/** How many bytes a framed value has at most. */
export const PAYLOAD_SIZE: number = LVB_SIZE - PAYLOAD_AT;

/** What is in a frame. The numbers are part of the layout. */
export const KIND = { struct: 1, counter: 2, string: 3, json: 4 } as const;
export type Kind = keyof typeof KIND;

function kindName(number: number): string {
  return Object.entries(KIND).find(([, known]) => known === number)?.[0] ?? `unknown (${number})`;
}

/** The checksum of a block: that of its bytes with zeros in the checksum's own place. */
function checksum(block: Uint8Array): number {
  const bytes = Uint8Array.from(block);
  bytes.fill(0, CRC_AT, CRC_AT + 4);
  return crc32(bytes);
}

/** A block with a frame around what `fill` puts into the payload. */
export function seal(kind: Kind, detail: number, fill: (payload: DataView) => void): Uint8Array {
  const block = new Uint8Array(LVB_SIZE);
  const view = new DataView(block.buffer);
  view.setUint8(0, MAGIC);
  view.setUint8(KIND_AT, KIND[kind]);
  view.setUint16(DETAIL_AT, detail, true);
  fill(new DataView(block.buffer, PAYLOAD_AT));
  view.setUint32(CRC_AT, checksum(block), true);
  return block;
}

/** Opens a block: an intact frame of this kind goes to `read`, with its detail. */
export function unseal<T>(
  kind: Kind,
  lvb: unknown,
  read: (payload: DataView, detail: number) => LvbReading<T>,
): LvbReading<T> {
  const given = checkBlock(lvb);
  const block = wholeBlock(given);
  if (!block) return notWhole(given);
  if (block.every((byte) => byte === 0)) return { state: "empty" };
  const view = new DataView(block.buffer);
  if (view.getUint8(0) !== MAGIC) return { state: "foreign", reason: "has no frame: it is another program's" };
  if (view.getUint32(CRC_AT, true) !== checksum(block)) {
    return { state: "corrupt", reason: "has a checksum that does not match its bytes" };
  }
  const found = view.getUint8(KIND_AT);
  if (found !== KIND[kind])
    return { state: "foreign", reason: `holds a value of kind ${kindName(found)}, not ${kind}` };
  return read(new DataView(block.buffer, PAYLOAD_AT), view.getUint16(DETAIL_AT, true));
}
