import assert from "node:assert/strict";

import {
  LVB_COUNTER_MAX,
  type LvbNumberType,
  lvbCounter,
  lvbRawStruct,
  lvbStruct,
} from "../../../../lib/dlm/lvb-codecs";

import { type Dice, assertSurvives, block, property, typeError, valueError } from "./support";

// Each type's least and most.
const LIMITS: Readonly<Record<LvbNumberType, readonly (number | bigint)[]>> = {
  u8: [0, 255],
  u16: [0, 65535],
  u32: [0, 4294967295],
  u64: [0n, 18446744073709551615n],
  i8: [-128, 127],
  i16: [-32768, 32767],
  i32: [-2147483648, 2147483647],
  i64: [-9223372036854775808n, 9223372036854775807n],
  f32: [-3.4028234663852886e38, 3.4028234663852886e38, Infinity, -Infinity, NaN, 2 ** -149, -0],
  f64: [-Number.MAX_VALUE, Number.MAX_VALUE, Infinity, -Infinity, NaN, 2 ** -1074, -0],
};
const TYPES = Object.keys(LIMITS) as LvbNumberType[];

function randomNumber(dice: Dice, type: LvbNumberType): number | bigint {
  const limits = LIMITS[type];
  if (dice(4) === 0) return limits[dice(limits.length)] ?? 0;
  const bytes = new DataView(new ArrayBuffer(8));
  for (let at = 0; at < 8; at++) bytes.setUint8(at, dice(256));
  const raw = bytes.getBigUint64(0);
  if (type === "f64") return bytes.getFloat64(0);
  if (type === "f32") return bytes.getFloat32(0);
  const bits = Number(type.slice(1));
  const integer = type.startsWith("u") ? BigInt.asUintN(bits, raw) : BigInt.asIntN(bits, raw);
  return bits === 64 ? integer : Number(integer);
}

describe("lvbStruct", () => {
  it("lays numbers out as a C struct, in the order of their names", () => {
    const codec = lvbStruct({ epoch: "u32", owner: "u16", ratio: "f64" });
    assert.deepEqual(codec.offsets, { epoch: 8, owner: 12, ratio: 16 });
    assert.equal(codec.layout, "little epoch:u32@8 owner:u16@12 ratio:f64@16");
    // the types are the fields' own: this compiles
    const value: { epoch: number; owner: number; ratio: number } = { epoch: 0x01020304, owner: 5, ratio: 0.5 };
    assertSurvives(codec, value);
    assert.deepEqual([...codec.encode(value)].slice(8), [
      ...[4, 3, 2, 1, 5, 0, 0, 0],
      ...[0, 0, 0, 0, 0, 0, 0xe0, 0x3f],
      ...[0, 0, 0, 0, 0, 0, 0, 0],
    ]);
  });

  it("leaves no gaps if packed, and turns bytes round for big endian", () => {
    const codec = lvbRawStruct({ a: "u8", b: "u32", c: "i64" }, { packed: true, endian: "big" });
    assert.deepEqual(codec.offsets, { a: 0, b: 1, c: 5 });
    assert.equal(codec.layout, "big a:u8@0 b:u32@1 c:i64@5");
    const bytes = codec.encode({ a: 1, b: 0x02030405, c: -2n });
    assert.deepEqual(bytes, block("01 02030405 fffffffffffffffe"));
    const aligned = lvbRawStruct({ a: "u8", b: "u32", c: "i64" });
    assert.deepEqual(aligned.offsets, { a: 0, b: 4, c: 8 });
  });

  it("holds 24 bytes in a frame and 32 raw, and says how many there are", () => {
    assertSurvives(lvbStruct({ a: "u64", b: "u64", c: "u64" }), { a: 1n, b: 2n, c: 3n });
    const four = { a: "u64", b: "u64", c: "u64", d: "u64" } as const;
    assertSurvives(lvbRawStruct(four), { a: 1n, b: 2n, c: 3n, d: LVB_COUNTER_MAX });
    assert.throws(() => lvbStruct(four), valueError(/"fields".*take 32 bytes; there are 24/));
    assert.throws(() => lvbStruct({ a: "u8", b: "u64", c: "f64", d: "u8" }), valueError(/take 25 bytes/));
    assert.throws(() => lvbRawStruct({ ...four, e: "u8" }), valueError(/take 33 bytes; there are 32/));
  });

  it("keeps every number of every type, in any layout", () => {
    property(3000, (dice) => {
      const fields: Record<string, LvbNumberType> = {};
      const value: Record<string, number | bigint> = {};
      for (let i = 0; i <= dice(4); i++) {
        const type = TYPES[dice(TYPES.length)] ?? "u8";
        fields[`f${i}`] = type;
        value[`f${i}`] = randomNumber(dice, type);
      }
      const options = { packed: dice(2) === 0, endian: dice(2) === 0 ? "big" : "little" } as const;
      const size = Object.values(fields).length * 8;
      if (size <= 24) assertSurvives(lvbStruct(fields, options), value as never);
      if (size <= 32) assertSurvives(lvbRawStruct(fields, options), value as never);
    });
  });

  it("tells layouts apart that have equal sizes: names, types, order, byte order", () => {
    const written = lvbStruct({ a: "u32", b: "i32" });
    const bytes = written.encode({ a: 1, b: 2 });
    const others = [
      lvbStruct({ a: "u32", c: "i32" }),
      lvbStruct({ a: "u32", b: "u32" }),
      lvbStruct({ b: "i32", a: "u32" }),
      lvbStruct({ a: "u32", b: "i32" }, { endian: "big" }),
      lvbStruct({ a: "u32" }),
    ];
    for (const other of others) {
      const reason = `holds a struct of another layout than '${other.layout}'`;
      assert.deepEqual(other.decode(bytes), { state: "foreign", reason });
    }
    const same = lvbStruct({ a: "u32", b: "i32" }, { packed: true });
    assert.equal(same.decode(bytes).state, "ok", "a layout is the same whoever describes it");
  });

  it("refuses numbers that do not fit, naming the field, the bytes and the limits", () => {
    for (const type of TYPES.filter((name) => !name.startsWith("f"))) {
      const codec = lvbRawStruct({ n: type });
      const [least = 0, most = 0] = LIMITS[type];
      for (const value of typeof least === "bigint" ? [least - 1n, BigInt(most) + 1n] : [least - 1, Number(most) + 1]) {
        const message = new RegExp(`"value.n".*is ${value};.*${Number(type.slice(1)) / 8} bytes.*${least} to ${most}`);
        assert.throws(() => codec.encode({ n: value }), valueError(message));
      }
    }
    const narrow = lvbStruct({ n: "u8" });
    for (const value of [1.5, NaN, Infinity]) {
      assert.throws(() => narrow.encode({ n: value }), valueError(/no whole number/));
    }
    assert.throws(() => lvbStruct({ n: "f32" }).encode({ n: 1e39 }), valueError(/1e\+39.*4 bytes of f32/));
  });

  it("refuses what is no number, and bigint and number for each other", () => {
    const codec = lvbStruct({ n: "u32", big: "u64" });
    for (const value of [undefined, null, "1", 1n]) {
      assert.throws(() => codec.encode({ n: value, big: 1n } as never), typeError(/"value.n".*a number/));
    }
    for (const value of [undefined, 1]) {
      assert.throws(() => codec.encode({ n: 1, big: value } as never), typeError(/"value.big".*a bigint/));
    }
    assert.throws(() => codec.encode(null as never), typeError(/"value".*an object/));
  });

  it("refuses fields and options that make no layout", () => {
    assert.throws(() => lvbStruct({}), valueError(/must not be empty/));
    assert.throws(() => lvbStruct(null as never), typeError(/"fields".*an object/));
    assert.throws(() => lvbStruct({ a: "u128" as never }), valueError(/"fields.a".*'u128'.*u8, u16/));
    assert.throws(() => lvbStruct({ a: "constructor" as never }), valueError(/'constructor'/));
    assert.throws(() => lvbStruct({ a: 4 as never }), typeError(/"fields.a".*a number's type/));
    for (const name of ["7", "", "a b", "a:b"]) {
      assert.throws(() => lvbStruct({ [name]: "u8" }), valueError(/a field/), name);
    }
    assert.throws(() => lvbStruct({ a: "u8" }, { endian: "middle" as never }), valueError(/"options.endian"/));
    assert.throws(() => lvbStruct({ a: "u8" }, { packed: 1 as never }), typeError(/"options.packed"/));
  });

  it("is not led astray by a field named like an object's own machinery", () => {
    const codec = lvbStruct({ ["__proto__"]: "u8", constructor: "u8" });
    const given = JSON.parse(`{"__proto__":1,"constructor":2}`) as { ["__proto__"]: number; constructor: number };
    const reading = codec.decode(codec.encode(given));
    assert.ok(reading.state === "ok");
    const { value } = reading;
    assert.deepEqual(Object.entries(value), Object.entries(given));
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });
});

describe("lvbRawStruct", () => {
  it("reads what nobody wrote as zeros, since it has nothing to tell it by", () => {
    assert.deepEqual(lvbRawStruct({ a: "u32" }).decode(new Uint8Array(32)), { state: "ok", value: { a: 0 } });
  });
});

describe("lvbCounter", () => {
  const counter = lvbCounter();

  it("keeps every count, and zero is none that was never written", () => {
    for (const value of [0n, 1n, 2n ** 53n, 2n ** 63n, LVB_COUNTER_MAX]) assertSurvives(counter, value);
    property(500, (dice) => {
      assertSurvives(counter, randomNumber(dice, "u64") as bigint);
    });
  });

  it("goes up and never wraps", () => {
    assert.equal(counter.next(0n), 1n);
    assert.equal(counter.next(41n, 100n), 141n);
    assert.equal(counter.next(LVB_COUNTER_MAX - 1n), LVB_COUNTER_MAX);
    assert.throws(() => counter.next(LVB_COUNTER_MAX), valueError(/18446744073709551615; 1 more.*8 bytes/));
    assert.throws(() => counter.next(1n, LVB_COUNTER_MAX), valueError(/exceeds/));
    for (const step of [0n, -1n]) assert.throws(() => counter.next(1n, step), valueError(/"step".*only goes up/));
  });

  it("refuses what is no count", () => {
    for (const value of [-1n, LVB_COUNTER_MAX + 1n]) {
      assert.throws(() => counter.encode(value), valueError(/"value".*8 bytes of u64/));
      assert.throws(() => counter.next(value), valueError(/"value".*8 bytes of u64/));
    }
    for (const value of [1, "1", undefined]) {
      assert.throws(() => counter.encode(value as never), typeError(/"value".*a bigint/));
      assert.throws(() => counter.next(1n, (value ?? 1) as never), typeError(/"step".*a bigint/));
    }
  });
});
