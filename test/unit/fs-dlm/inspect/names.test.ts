import assert from "node:assert/strict";

import { readResourceName, writeResourceName } from "../../../../lib/dlm";
import { writeLatin1Name } from "../../../../lib/fs-dlm/inspect/resource-names";

describe("resource names in dumps", () => {
  const SHOWN: [bytes: string | number[], written: string][] = [
    ["customer:42", "customer:42"],
    ["Käse 🧀", "Käse 🧀"],
    ["a\\b", "a\\\\b"],
    ["new\nline", "new\\x0aline"],
    ["a\0b", "a\\x00b"],
    [[0xff, 0x41, 0x5c], "\\xffA\\\\"],
    ["\u0085\u202e", "\\xc2\\x85\\xe2\\x80\\xae"],
    ["", ""],
  ];

  it("are text where they can be", () => {
    for (const [bytes, written] of SHOWN) {
      const name = Buffer.from(bytes as string);
      assert.equal(writeResourceName(name), written);
      assert.equal(writeLatin1Name(name.toString("latin1")), written);
      assert.deepEqual(Buffer.from(readResourceName(written)), name);
    }
  });

  it("can be had back, whatever their bytes", () => {
    for (let a = 0; a < 256; a++) {
      for (const b of [0, 0x0a, 0x22, 0x41, 0x5c, 0x7f, 0x80, 0xc3, 0xff]) {
        const name = Buffer.from([a, b]);
        assert.deepEqual(Buffer.from(readResourceName(writeResourceName(name))), name);
      }
    }
    assert.throws(() => readResourceName("a\\nb"), { name: "RangeError" });
  });
});
