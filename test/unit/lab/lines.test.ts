import assert from "node:assert/strict";

import { LineSplitter } from "../../../lib/lab/lines";

function split(chunks: readonly string[], limit?: number): { lines: string[]; rest: string | undefined } {
  const splitter = new LineSplitter(limit);
  const lines = chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk)).map(String));
  return { lines, rest: splitter.end()?.toString() };
}

describe("lab: lines", () => {
  it("come whole however they are cut", () => {
    const text = "one\n\ntwo ü\nthree";
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const splitter = new LineSplitter();
      const lines = [...splitter.push(bytes.subarray(0, cut)), ...splitter.push(bytes.subarray(cut))].map(String);
      assert.deepEqual(lines, ["one", "", "two ü"], `cut at ${cut}`);
      assert.equal(splitter.end()?.toString(), "three", `cut at ${cut}`);
    }
  });

  it("leave nothing after a final newline", () => {
    assert.deepEqual(split(["a\nb", "c\n"]), { lines: ["a", "bc"], rest: undefined });
    assert.deepEqual(split([]), { lines: [], rest: undefined });
  });

  it("come in pieces when they are longer than the limit", () => {
    assert.deepEqual(split(["abc", "def", "g\nh"], 5), { lines: ["abcdef", "g"], rest: "h" });
  });
});
