import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";

import { decodeFrame, encodeFrame } from "../../../lib/dlmfs/value";
import { encodeLoss } from "../../../lib/dlmfs/value/frame";

// The bytes in the docs come from the Python program there. What other languages read must never change.
describe("the byte layout in docs/dlmfs-values.md", () => {
  const docs = readFileSync(path.resolve(__dirname, "../../../docs/dlmfs-values.md"), "utf8");
  const blocks = [...docs.matchAll(/`([0-9a-f]{128})`/g)].map(([, hex]) =>
    Uint8Array.from(Buffer.from(hex ?? "", "hex")),
  );
  const mark = { epoch: 0x1122334455667788n, sequence: 3n };

  it("is what is written, and read", () => {
    const [bytes, counter, loss, unknown, ...more] = blocks;
    assert.ok(bytes && counter && loss && unknown);
    assert.deepEqual(more, []);
    const text = { kind: "bytes" as const, ...mark, payload: Uint8Array.from(Buffer.from("node 2")) };
    const count = { kind: "counter" as const, ...mark, payload: Uint8Array.of(42, 0, 0, 0, 0, 0, 0, 0) };
    assert.deepEqual(encodeFrame(text), bytes);
    assert.deepEqual(encodeFrame(count), counter);
    assert.deepEqual(encodeLoss(mark), loss);
    assert.deepEqual(encodeLoss(undefined), unknown);
    for (const [frame, block] of [
      [text, bytes],
      [count, counter],
    ] as const) {
      const reading = decodeFrame(block, frame.kind);
      assert.ok(reading.state === "ok");
      assert.deepEqual(reading.frame, frame);
    }
    assert.deepEqual(decodeFrame(loss), { state: "lost", last: mark });
    assert.deepEqual(decodeFrame(unknown), { state: "lost", last: undefined });
  });
});
