import { invalidType, invalidValue } from "../../errors";

/** How a number lies in a value block: unsigned, signed or floating point (IEEE 754), and its width in bits. */
export type LvbNumberType = "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "f32" | "f64";

/** What it is in JavaScript. */
export type LvbNumber<N extends LvbNumberType> = N extends "u64" | "i64" ? bigint : number;

// Size in bytes, and what DataView's methods call it.
const TYPES = {
  u8: [1, "Uint8"],
  u16: [2, "Uint16"],
  u32: [4, "Uint32"],
  u64: [8, "BigUint64"],
  i8: [1, "Int8"],
  i16: [2, "Int16"],
  i32: [4, "Int32"],
  i64: [8, "BigInt64"],
  f32: [4, "Float32"],
  f64: [8, "Float64"],
} as const;

/** @throws TypeError, RangeError */
export function checkNumberType(type: unknown, name: string): LvbNumberType {
  if (typeof type !== "string") throw invalidType(name, "a number's type", type);
  if (Object.hasOwn(TYPES, type)) return type as LvbNumberType;
  throw invalidValue(name, `is '${type}', which is no number's type; one of ${Object.keys(TYPES).join(", ")} is`);
}

export function sizeOf(type: LvbNumberType): number {
  return TYPES[type][0];
}

function range(type: LvbNumberType): readonly [least: bigint, most: bigint] {
  const bits = BigInt(sizeOf(type) * 8);
  return type.startsWith("u") ? [0n, 2n ** bits - 1n] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}

function checkInteger(type: LvbNumberType, value: number | bigint, name: string): void {
  if (typeof value === "number" && !Number.isInteger(value)) throw invalidValue(name, `is ${value}, no whole number`);
  const [least, most] = range(type);
  if (value >= least && value <= most) return;
  throw invalidValue(name, `is ${value}; the ${sizeOf(type)} bytes of ${type} hold ${least} to ${most}`);
}

/**
 * The value, if the type can hold it. f32 rounds, as it always does, but no finite number may become an infinite one.
 * @throws TypeError, RangeError
 */
export function checkNumber<N extends LvbNumberType>(type: N, value: unknown, name: string): LvbNumber<N> {
  const big = TYPES[type][1].startsWith("Big");
  if (typeof value !== "number" && typeof value !== "bigint")
    throw invalidType(name, big ? "a bigint" : "a number", value);
  if ((typeof value === "bigint") !== big) throw invalidType(name, big ? "a bigint" : "a number", value);
  if (type === "f32" && Number.isFinite(value) && !Number.isFinite(Math.fround(Number(value)))) {
    throw invalidValue(name, `is ${value}; the 4 bytes of f32 hold no number of that size`);
  }
  if (!type.startsWith("f")) checkInteger(type, value, name);
  return value as LvbNumber<N>;
}

type Setters = Record<
  `set${(typeof TYPES)[LvbNumberType][1]}`,
  (at: number, value: number | bigint, little: boolean) => void
>;

/** Writes a number that was checked. */
export function writeNumber(
  view: DataView,
  at: number,
  type: LvbNumberType,
  value: number | bigint,
  little: boolean,
): void {
  (view as unknown as Setters)[`set${TYPES[type][1]}`](at, value, little);
}

export function readNumber(view: DataView, at: number, type: LvbNumberType, little: boolean): number | bigint {
  return view[`get${TYPES[type][1]}`](at, little);
}
