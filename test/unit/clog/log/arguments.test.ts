import assert from "node:assert/strict";

import { parseConstructor, parseRegions } from "../../../../lib/clog/log/arguments";

const invalid = { name: "Error", code: "EINVAL" };

describe("a log's words", () => {
  it("come with the length and the type first from the mainline kernel", () => {
    assert.deepEqual(parseConstructor("ulog", ["8192", "clustered-disk", "/dev/ram2", "1024", "nosync"]), {
      type: "clustered-disk",
      args: ["/dev/ram2", "1024", "nosync"],
      length: 8192,
    });
  });

  it("come with the length last from the kernel that the patch was for, and without the uuid go on", () => {
    const core = (words: string): unknown => parseConstructor("clog", words.split(" "));
    assert.deepEqual(core("1024 LVM-a 8192"), { type: "clustered-core", args: ["1024"], length: 8192 });
    assert.deepEqual(core("1024 LVM-a nosync 8192"), {
      type: "clustered-core",
      args: ["1024", "nosync"],
      length: 8192,
    });
    const disk = { type: "clustered-disk", length: 8192 };
    assert.deepEqual(core("/dev/x 1024 LVM-a 8192"), { ...disk, args: ["/dev/x", "1024"] });
    assert.deepEqual(core("253:3 1024 LVM-a sync 8192"), { ...disk, args: ["253:3", "1024", "sync"] });
  });

  it("are refused without a type, a length or a uuid", () => {
    for (const words of [
      [],
      ["8192"],
      ["0", "clustered-core", "1024"],
      ["9007199254740993", "x"],
      ["x", "clustered-core"],
    ]) {
      assert.throws(() => parseConstructor("ulog", words), invalid, words.join(" "));
    }
    for (const words of [[], ["8192"], ["1024", "8192"], ["/dev/x", "1024", "8192"]]) {
      assert.throws(() => parseConstructor("clog", words), invalid, words.join(" "));
    }
  });

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
