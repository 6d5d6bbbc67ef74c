import assert from "node:assert/strict";

import fc from "fast-check";

import { type Frame, FRAME_PAYLOAD_MAX, decodeFrame, encodeFrame } from "../../../lib/dlmfs/value";
import { encodeLoss } from "../../../lib/dlmfs/value/frame";

import { runs, typeError, valueError } from "./support";

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const epoch = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.record(
    {
      kind: fc.constant("bytes" as const),
      epoch,
      sequence: u64,
      payload: fc.uint8Array({ maxLength: FRAME_PAYLOAD_MAX }),
    },
    { noNullPrototype: true },
  ),
  fc.record(
    {
      kind: fc.constant("counter" as const),
      epoch,
      sequence: u64,
      payload: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    },
    { noNullPrototype: true },
  ),
);
const FRAME: Frame = { kind: "bytes", epoch: 7n, sequence: 1n, payload: Buffer.from("value") };

describe("the frame of a dlmfs value", () => {
  it("has 64 bytes, from which what went in comes out", () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const block = encodeFrame(frame);
        assert.equal(block.length, 64);
        const { checksum, ...reading } = decodeFrame(block, frame.kind) as { checksum: number; state: string };
        assert.deepEqual(reading, { state: "ok", frame });
        assert.equal(checksum, new DataView(block.buffer).getUint32(4, true));
      }),
      runs(500),
    );
  });

  it("tells 64 zeros, which nobody wrote, from every frame", () => {
    assert.deepEqual(decodeFrame(new Uint8Array(64)), { state: "empty" });
    const least = encodeFrame({ kind: "bytes", epoch: 1n, sequence: 0n, payload: new Uint8Array() });
    assert.equal(decodeFrame(least).state, "ok");
    assert.deepEqual(decodeFrame(encodeLoss(undefined)), { state: "lost", last: undefined });
  });

  it("says what is known of a value in the mark of its loss, to readers of every kind", () => {
    const block = encodeLoss({ epoch: 5n, sequence: 9n, checksum: 1 });
    for (const kind of ["bytes", "counter"] as const) {
      assert.deepEqual(decodeFrame(block, kind), { state: "lost", last: { epoch: 5n, sequence: 9n } });
    }
  });

  it("notices any 1 to 4 wrong bits", () => {
    const bits = fc.uniqueArray(fc.nat(511), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(frames, bits, (frame, wrong) => {
        const block = encodeFrame(frame);
        for (const bit of wrong) block[bit >> 3] = (block[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.equal(decodeFrame(block, frame.kind).state, wrong.some((bit) => bit < 16) ? "foreign" : "corrupt");
      }),
      runs(1000),
    );
  });

  it("takes no bytes at all for a value by mistake, throws at none and leaves them alone", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const before = bytes.slice();
        const { state } = decodeFrame(bytes);
        const zeros = bytes.every((byte) => byte === 0);
        assert.equal(state, bytes.length !== 64 ? "corrupt" : zeros ? "empty" : "foreign");
        assert.deepEqual(bytes, before);
      }),
      runs(500),
    );
  });

  it("says that another kind of frame is foreign, one of a later version too", () => {
    const counter = encodeFrame({ ...FRAME, kind: "counter", payload: new Uint8Array(8) });
    const reason = "holds a value of kind counter, not bytes";
    assert.deepEqual(decodeFrame(counter), { state: "foreign", reason });
    // made by another implementation: kind 9, epoch 1
    const later = new Uint8Array(64);
    later.set(Buffer.from("cb640900", "hex"));
    later.set(Buffer.from("fccfa618", "hex"), 4);
    later[8] = 1;
    assert.deepEqual(decodeFrame(later), { state: "foreign", reason: "holds a value of kind unknown (9), not bytes" });
  });

  it("reads bytes of every origin: a buffer's window, shared memory", () => {
    const block = encodeFrame(FRAME);
    const pool = Buffer.concat([Buffer.alloc(3, 1), block, Buffer.alloc(3, 1)]);
    assert.deepEqual(decodeFrame(pool.subarray(3, 67)), decodeFrame(block));
    const shared = new Uint8Array(new SharedArrayBuffer(64));
    shared.set(block);
    assert.deepEqual(decodeFrame(shared), decodeFrame(block));
  });

  it("refuses what does not fit, and says what would", () => {
    const frame = (part: object): Frame => ({ ...FRAME, ...part });
    assert.throws(() => encodeFrame(frame({ payload: new Uint8Array(41) })), valueError(/41 bytes.*40/));
    assert.throws(() => encodeFrame(frame({ kind: "counter" })), valueError(/5 bytes.*counter's 8/));
    assert.throws(() => encodeFrame(frame({ payload: "text" })), typeError(/"payload".*Uint8Array.*string/));
    assert.throws(() => encodeFrame(frame({ epoch: 0n })), valueError(/"epoch".* 0, .*between 1 and/));
    assert.throws(() => encodeFrame(frame({ epoch: 2n ** 64n })), valueError(/"epoch"/));
    assert.throws(() => encodeFrame(frame({ sequence: 1 })), typeError(/"sequence".*bigint.*number/));
  });
});
