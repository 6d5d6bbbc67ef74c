import { crc32 } from "node:zlib";

import { invalidType } from "../../errors";
import { LVB_SIZE } from "../lvb";

import { type LvbCodec, checkBlock, notWhole, wholeBlock } from "./codec";
import { PAYLOAD_AT, PAYLOAD_SIZE, seal, unseal } from "./frame";
import { type Layout, type LvbFields, type LvbStructOptions, layOut } from "./layout";
import { type LvbNumber, type LvbNumberType, checkNumber, readNumber, writeNumber } from "./numbers";

/** The value of a structure: a bigint for u64 and i64, a number for all else. */
export type LvbStructValue<F extends LvbFields> = { -readonly [Name in keyof F]: LvbNumber<F[Name]> };

export interface LvbStruct<F extends LvbFields> extends LvbCodec<LvbStructValue<F>> {
  /** Where in the value block each field begins. */
  readonly offsets: Readonly<Record<keyof F, number>>;
  /**
   * The layout as text, such as `little epoch:u32@8 owner:u16@12`. Structures with equal texts read each other's
   * values; a frame carries the low 16 bits of this text's CRC-32.
   */
  readonly layout: string;
}

/**
 * Codec for numbers of fixed layout, in a frame that tells written from empty, damaged and of another layout.
 * Fields come in the order of their names in `fields`, and take at most 24 bytes.
 *
 * @throws {TypeError | RangeError} fields that are none, or do not fit
 */
export function lvbStruct<const F extends LvbFields>(fields: F, options?: LvbStructOptions): LvbStruct<F> {
  const layout = layOut(fields, options, PAYLOAD_AT, PAYLOAD_SIZE);
  const fingerprint = crc32(layout.text) & 0xffff;
  return {
    ...describe<F>(layout),
    encode: (value) =>
      seal("struct", fingerprint, (payload) => {
        write(layout, payload, value);
      }),
    decode: (lvb) =>
      unseal("struct", lvb, (payload, detail) =>
        detail === fingerprint
          ? { state: "ok", value: read<F>(layout, payload) }
          : { state: "foreign", reason: `holds a struct of another layout than '${layout.text}'` },
      ),
  };
}

/**
 * Codec for numbers of fixed layout and nothing else, at most 32 bytes: for programs whose value block has a layout
 * already. It cannot tell a value from an empty, damaged or foreign block: any 32 bytes read as "ok", and an empty
 * block as zeros.
 *
 * @throws {TypeError | RangeError} fields that are none, or do not fit
 */
export function lvbRawStruct<const F extends LvbFields>(fields: F, options?: LvbStructOptions): LvbStruct<F> {
  const layout = layOut(fields, options, 0, LVB_SIZE);
  return {
    ...describe<F>(layout),
    encode: (value) => {
      const block = new Uint8Array(LVB_SIZE);
      write(layout, new DataView(block.buffer), value);
      return block;
    },
    decode: (lvb) => {
      const given = checkBlock(lvb);
      const block = wholeBlock(given);
      return block ? { state: "ok", value: read<F>(layout, new DataView(block.buffer)) } : notWhole(given);
    },
  };
}

function describe<F extends LvbFields>(layout: Layout): Pick<LvbStruct<F>, "offsets" | "layout"> {
  const offsets = layout.fields.map(({ name, at }) => [name, layout.from + at] as const);
  return { offsets: Object.freeze(Object.fromEntries(offsets)) as LvbStruct<F>["offsets"], layout: layout.text };
}

function write(layout: Layout, view: DataView, value: unknown): void {
  if (typeof value !== "object" || value === null) throw invalidType("value", "an object", value);
  for (const { name, type, at } of layout.fields) {
    const number = checkNumber<LvbNumberType>(type, (value as Record<string, unknown>)[name], `value.${name}`);
    writeNumber(view, at, type, number, layout.little);
  }
}

function read<F extends LvbFields>(layout: Layout, view: DataView): LvbStructValue<F> {
  const numbers = layout.fields.map(({ name, type, at }) => [name, readNumber(view, at, type, layout.little)] as const);
  return Object.fromEntries(numbers) as LvbStructValue<F>;
}
