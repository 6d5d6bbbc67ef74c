import assert from "node:assert/strict";

import {
  type LvbCodec,
  decodeLvb,
  lvbCounter,
  lvbJson,
  lvbRawStruct,
  lvbString,
  lvbStruct,
} from "../../../../lib/dlm/lvb-codecs";
import { seal } from "../../../../lib/dlm/lvb-codecs/frame";

import { block, property, randomBytes, typeError } from "./support";

const point = lvbStruct({ x: "i32", y: "i32" });

// Every codec that has a frame, and a value for it.
const FRAMED: readonly [name: string, codec: LvbCodec<unknown>, bytes: Uint8Array][] = [
  ["struct", point, point.encode({ x: -1, y: 7 })],
  ["counter", lvbCounter(), lvbCounter().encode(0n)],
  ["string", lvbString(), lvbString().encode("")],
  ["json", lvbJson(), lvbJson().encode([1, "two"])],
];
const ALL: readonly (readonly [name: string, codec: LvbCodec<unknown>])[] = [
  ...FRAMED.map(([name, codec]) => [name, codec] as const),
  ["raw struct", lvbRawStruct({ a: "f64", b: "u64" })],
];

describe("a framed value block", () => {
  for (const [name, codec, bytes] of FRAMED) {
    describe(name, () => {
      it("tells 32 zeros, which nobody wrote, from every value", () => {
        assert.deepEqual(codec.decode(new Uint8Array(32)), { state: "empty" });
        assert.equal(codec.decode(bytes).state, "ok");
      });

      it("says that bytes of another kind, or without a frame, are foreign", () => {
        for (const [other, , theirs] of FRAMED) {
          if (other === name) continue;
          const reading = codec.decode(theirs);
          assert.deepEqual(reading, { state: "foreign", reason: `holds a value of kind ${other}, not ${name}` });
        }
        const reading = codec.decode(Buffer.from("an older program's own 32 bytes "));
        assert.deepEqual(reading, { state: "foreign", reason: "has no frame: it is another program's" });
      });

      it("notices any 1 to 4 wrong bits", () => {
        const damaged = (bits: number[]): void => {
          const copy = bytes.slice();
          for (const bit of new Set(bits)) copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          const { state } = codec.decode(copy);
          assert.equal(state, bits.some((bit) => bit < 8) ? "foreign" : "corrupt", `bits ${bits.join()}`);
        };
        for (let bit = 0; bit < 256; bit++) damaged([bit]);
        property(2000, (dice) => {
          const bits = new Set(Array.from({ length: 2 + dice(3) }, () => dice(256)));
          damaged([...bits]);
        });
      });

      it("notices bytes that are swapped, moved or cut off", () => {
        for (let at = 0; at < 32; at++) {
          const reversed = [...bytes.slice(0, at), ...bytes.slice(at).reverse()];
          const moved = [...bytes.slice(at), ...bytes.slice(0, at)];
          const cut = bytes.slice().fill(0, at);
          for (const wrong of [reversed, moved, cut].map((list) => Uint8Array.from(list))) {
            const same = Buffer.compare(wrong, bytes) === 0;
            assert.equal(codec.decode(wrong).state === "ok", same, Buffer.from(wrong).toString("hex"));
          }
        }
      });
    });
  }

  it("names a kind that only a later version knows by its number", () => {
    // made by another implementation: kind 9, no payload
    const reading = lvbString().decode(block("cb09 0000 f30b77d5"));
    assert.equal(reading.state, "foreign");
    assert.match(reading.reason, /of kind unknown \(9\), not string/);
  });
});

describe("every codec", () => {
  it("reads any bytes at all without throwing, and leaves them alone", () => {
    property(3000, (dice) => {
      const whole = dice(4) > 0;
      let bytes = randomBytes(dice, whole ? 32 : dice(64));
      // an intact frame around nonsense
      if (whole && dice(2) === 0) {
        const kind = (["struct", "counter", "string", "json"] as const)[dice(4)] ?? "json";
        const payload = randomBytes(dice, dice(24));
        bytes = seal(kind, dice(2) === 0 ? payload.length : dice(0x10000), (view) => {
          payload.forEach((byte, at) => {
            view.setUint8(at, byte);
          });
        });
      }
      const before = bytes.slice();
      for (const [name, codec] of ALL) {
        const { state } = codec.decode(bytes);
        if (bytes.length !== 32) assert.equal(state, "corrupt", name);
        assert.deepEqual(bytes, before, name);
      }
    });
  });

  it("reads bytes of every origin: a buffer's window, shared memory, a detached buffer", () => {
    const pool = Buffer.concat([Buffer.alloc(5, 1), lvbString().encode("here"), Buffer.alloc(5, 1)]);
    assert.deepEqual(lvbString().decode(pool.subarray(5, 37)), { state: "ok", value: "here" });
    const shared = new Uint8Array(new SharedArrayBuffer(32));
    shared.set(lvbString().encode("shared"));
    assert.deepEqual(lvbString().decode(shared), { state: "ok", value: "shared" });
    const gone = lvbString().encode("gone");
    structuredClone(gone.buffer, { transfer: [gone.buffer as ArrayBuffer] });
    assert.equal(lvbString().decode(gone).state, "corrupt");
  });

  it("says how long bytes are that are no value block", () => {
    for (const [name, codec] of ALL) {
      for (const length of [0, 31, 33]) {
        const reason = `is ${length} bytes long; a value block has 32`;
        assert.deepEqual(codec.decode(new Uint8Array(length)), { state: "corrupt", reason }, name);
      }
    }
  });

  it("throws when there are no bytes: a lock that was not asked to read has no empty value", () => {
    for (const [, codec] of ALL) {
      assert.throws(() => codec.decode(undefined), typeError(/"lvb".*lvb: true.*undefined/));
      assert.throws(() => codec.decode("text" as never), typeError(/"lvb".*string/));
    }
  });

  it("gives bytes of one's own with every encode", () => {
    for (const [name, codec, bytes] of FRAMED) {
      const reading = codec.decode(bytes);
      assert.ok(reading.state === "ok");
      assert.notEqual(codec.encode(reading.value), codec.encode(reading.value), name);
    }
  });
});

describe("the kernel's verdict", () => {
  const lvb = lvbCounter().encode(4n);

  it("comes before what the bytes say", () => {
    const last = { state: "ok", value: 4n };
    assert.deepEqual(decodeLvb(lvbCounter(), { lvb, lvbValid: true }), last);
    assert.deepEqual(decodeLvb(lvbCounter(), { lvb, lvbValid: false }), { state: "invalid", last });
    const zeros = { lvb: new Uint8Array(32), lvbValid: false };
    assert.deepEqual(decodeLvb(lvbCounter(), zeros), { state: "invalid", last: { state: "empty" } });
  });

  it("does not make up for a value that was not read", () => {
    for (const lvbValid of [undefined, true, false]) {
      assert.throws(() => decodeLvb(lvbCounter(), { lvb: undefined, lvbValid }), typeError(/lvb: true/));
    }
  });
});
