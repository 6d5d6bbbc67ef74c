import assert from "node:assert/strict";

import { parseMirrorTarget } from "../../../../lib/clog/log/mirror-table";

const LEGS = [
  { device: "1:0", offset: 0 },
  { device: "1:1", offset: 2048 },
];

describe("a mirror's table", () => {
  it("tells the log's uuid and words, the legs and the features", () => {
    assert.deepEqual(
      parseMirrorTarget("userspace 4 LVM-a clustered-disk /dev/ram2 1024 2 1:0 0 1:1 2048 1 handle_errors"),
      {
        uuid: "LVM-a",
        integratedFlush: false,
        logWords: ["clustered-disk", "/dev/ram2", "1024"],
        legs: LEGS,
        features: ["handle_errors"],
      },
    );
    const full = parseMirrorTarget(
      "userspace 5 LVM-a integrated_flush clustered-core 1024 nosync 2 1:0 0 1:1 2048 2 handle_errors keep_log",
    );
    assert.deepEqual(full?.features, ["handle_errors", "keep_log"]);
    assert.deepEqual(full.logWords, ["clustered-core", "1024", "nosync"]);
    assert.equal(full.integratedFlush, true);
  });

  it("may be without features, and with spaces at its end", () => {
    const found = parseMirrorTarget("userspace 3 LVM-a clustered-core 1024 2 1:0 0 1:1 2048 ");
    assert.deepEqual([found?.legs, found?.features], [LEGS, []]);
  });

  it("is of no use to us with another log, or when it is damaged", () => {
    for (const params of [
      "",
      "disk 2 1:2 1024 2 1:0 0 1:1 0",
      "core 1 1024 2 1:0 0 1:1 0",
      "userspace",
      "userspace x LVM-a clustered-core 1024 2 1:0 0 1:1 0",
      "userspace 9 LVM-a clustered-core 1024 2 1:0 0",
      "userspace 3 LVM-a clustered-core 1024 0",
      "userspace 3 LVM-a clustered-core 1024 2 1:0 0 1:1",
      "userspace 3 LVM-a clustered-core 1024 2 1:0 x 1:1 0",
      "userspace 1 LVM-a 2 1:0 0 1:1 0",
      "userspace 2 LVM-a integrated_flush 2 1:0 0 1:1 0",
    ]) {
      assert.equal(parseMirrorTarget(params), undefined, params);
    }
  });
});
