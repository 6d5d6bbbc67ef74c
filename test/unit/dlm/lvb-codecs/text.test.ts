import assert from "node:assert/strict";

import { LVB_TEXT_MAX, lvbJson, lvbString } from "../../../../lib/dlm/lvb-codecs";
import { seal } from "../../../../lib/dlm/lvb-codecs/frame";

import { type Dice, assertSurvives, property, typeError, valueError } from "./support";

const ALPHABET = ["a", "Z", "0", " ", "\0", "\n", '"', "\\", "ä", "€", "\ufeff", "\u{1f512}"];

function randomText(dice: Dice, maxBytes: number): string {
  let text = "";
  for (;;) {
    const longer = text + (ALPHABET[dice(ALPHABET.length)] ?? "");
    if (Buffer.byteLength(longer) > maxBytes || dice(12) === 0) return text;
    text = longer;
  }
}

/** A frame that is intact, around text that no encoder of ours writes. */
function framed(kind: "string" | "json", length: number, bytes: readonly number[]): Uint8Array {
  return seal(kind, length, (payload) => {
    bytes.forEach((byte, at) => {
      payload.setUint8(at, byte);
    });
  });
}

describe("lvbString", () => {
  const codec = lvbString();

  it("keeps every text, the empty one, NUL and a byte order mark included", () => {
    for (const text of ["", "\0", "\ufefftext", "node 3", "€".repeat(8), "x".repeat(24)]) assertSurvives(codec, text);
    property(2000, (dice) => {
      assertSurvives(codec, randomText(dice, LVB_TEXT_MAX));
    });
  });

  it("has room for 24 bytes, and says so", () => {
    assert.equal(LVB_TEXT_MAX, 24);
    assert.throws(() => codec.encode("x".repeat(25)), valueError(/25 bytes long in UTF-8.*room for 24/));
    assert.throws(() => codec.encode("€".repeat(9)), valueError(/27 bytes long in UTF-8.*room for 24/));
  });

  it("refuses what is no text, or would come back as another", () => {
    assert.throws(() => codec.encode("\ud800"), valueError(/not well-formed/));
    assert.throws(() => codec.encode(7 as never), typeError(/"value".*a string/));
  });

  it("calls text corrupt that has no UTF-8 or an impossible length", () => {
    const broken = { state: "corrupt", reason: "holds text that is no UTF-8" };
    assert.deepEqual(codec.decode(framed("string", 1, [0xff])), broken);
    assert.deepEqual(codec.decode(framed("string", 2, [0xe2, 0x82])), broken);
    const tooLong = { state: "corrupt", reason: "says that its text has 25 bytes" };
    assert.deepEqual(codec.decode(framed("string", 25, [])), tooLong);
  });
});

describe("lvbJson", () => {
  it("keeps what JSON can say", () => {
    for (const value of [null, true, 0, "ü", [], {}, { n: 3, up: true }, [[[1]]], "\ud800"]) {
      assertSurvives(lvbJson(), value);
    }
    property(500, (dice) => {
      const value = { t: randomText(dice, 4).replaceAll(/["\\\0\n]/g, "-"), n: dice(1e6) };
      assertSurvives(lvbJson<{ t: string; n: number }>(), value);
    });
  });

  it("counts the bytes of the JSON, not of the value", () => {
    assertSurvives(lvbJson(), "x".repeat(22));
    assert.throws(() => lvbJson().encode("x".repeat(23)), valueError(/25 bytes long as JSON.*room for 24/));
    assert.throws(() => lvbJson().encode("\n".repeat(12)), valueError(/26 bytes long as JSON/));
  });

  it("refuses what JSON cannot say", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    for (const value of [undefined, () => 1, Symbol("s"), 1n, circle]) {
      assert.throws(() => lvbJson().encode(value), typeError(/"value".*JSON can say/));
    }
  });

  it("calls text corrupt that is no JSON", () => {
    const reading = lvbJson().decode(framed("json", 1, [0x7b]));
    assert.deepEqual(reading, { state: "corrupt", reason: "holds text that is no JSON" });
  });

  it("lets the program check, and calls foreign what it does not know", () => {
    const isCount = (value: unknown): number => {
      if (typeof value === "number") return value;
      throw new Error("no number");
    };
    const codec = lvbJson(isCount);
    assertSurvives(codec, 7);
    const reason = "holds JSON that was not expected: no number";
    assert.deepEqual(codec.decode(lvbJson().encode("seven")), { state: "foreign", reason });
    assert.throws(() => lvbJson("zod" as never), typeError(/"parse".*a function/));
  });

  it("survives a check that throws what is no Error", () => {
    const codec = lvbJson(() => {
      throw Object.create(null) as Error;
    });
    assert.equal(codec.decode(lvbJson().encode(1)).state, "foreign");
  });
});
