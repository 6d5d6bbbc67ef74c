import assert from "node:assert/strict";

import { parseRegions } from "../../../../lib/clog/log/arguments";

const invalid = { name: "Error", code: "EINVAL" };

describe("a log's words", () => {
  it("name a region size, which counts the regions, the last of which may be short", () => {
    assert.deepEqual(parseRegions(["1024"], 8193), { regionSize: 1024, regionCount: 9, sync: "default" });
    assert.deepEqual(parseRegions(["2", "sync"], 2), { regionSize: 2, regionCount: 1, sync: "sync" });
    assert.equal(parseRegions(["4", "nosync"], 8).sync, "nosync");
    assert.equal(parseRegions(["2147483648"], 2 ** 40).regionCount, 512);
  });

  it("are refused when the region size is no power of two, below 2 or above the mirror's length", () => {
    for (const size of ["0", "1", "3", "1000", "1025", "16384", "-2", "2x", "0x400", "1e3", "4294967296", "", "1.5"]) {
      assert.throws(() => parseRegions([size], 8192), invalid, size);
    }
    assert.throws(() => parseRegions([], 8192), invalid);
    assert.throws(() => parseRegions(["4294967296"], 2 ** 40), invalid);
  });

  it("are refused when there would be 2^32 regions", () => {
    assert.equal(parseRegions(["2"], 2 ** 33 - 2).regionCount, 2 ** 32 - 1);
    assert.throws(() => parseRegions(["2"], 2 ** 33 - 1), /use regions of more than 2 sectors/);
  });

  it("are refused when there is another after them", () => {
    assert.throws(() => parseRegions(["1024", "maybe"], 8192), invalid);
    assert.throws(() => parseRegions(["1024", "sync", "nosync"], 8192), invalid);
  });
});
