import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";

import { type LvbCodec, lvbCounter, lvbJson, lvbString, lvbStruct } from "../../../../lib/dlm/lvb-codecs";

// The bytes in the docs come from the Python program there. What other languages read must never change.
describe("the byte layout in docs/dlm.md", () => {
  const docs = readFileSync(path.resolve(__dirname, "../../../../docs/dlm.md"), "utf8");
  const blocks = [...docs.matchAll(/`([0-9a-f]{64})`/g)].map(([, hex]) => Buffer.from(hex ?? "", "hex"));
  const point = lvbStruct({ epoch: "u32", owner: "u16", ratio: "f64" });
  const examples: readonly [codec: LvbCodec<unknown>, value: unknown][] = [
    [lvbCounter(), 42n],
    [lvbString(), "node 3"],
    [lvbJson(), { n: 3 }],
    [point, { epoch: 7, owner: 3, ratio: 0.5 }],
  ];

  it("is what the codecs write and read", () => {
    assert.equal(blocks.length, examples.length);
    for (const [i, [codec, value]] of examples.entries()) {
      const bytes = Uint8Array.from(blocks[i] ?? []);
      assert.deepEqual(codec.encode(value), bytes);
      assert.deepEqual(codec.decode(bytes), { state: "ok", value });
    }
    assert.ok(docs.includes(`"${point.layout}"`));
  });
});
