import assert from "node:assert/strict";

import { type LogStatus, logStatus, summary } from "../../../../lib/clog/daemon/status";
import type { LogStatus as ServedLog } from "../../../../lib/clog/server/status";

const LOG: ServedLog = {
  uuid: "LVM-abc",
  luid: 0xff304d91d8afe800n,
  flavour: "ulog",
  type: "clustered-disk",
  args: ["253:3", "1024"],
  length: 8192,
  state: "active",
  device: { major: 253, minor: 4, name: "vg-mirror" },
  description: { inSync: 7, marked: 1, dirty: 2, health: "A", legs: ["253:1", "253:2"], logDevice: "253:3" },
  regionSize: 1024,
  regionCount: 8,
};

describe("the daemon's status", () => {
  it("has a log in plain values, which JSON can carry", () => {
    const status = logStatus(LOG);
    assert.deepEqual(JSON.parse(JSON.stringify(status)), status);
    assert.equal(status.luid, "0xff304d91d8afe800");
    assert.equal(status.device, "253:4");
    assert.equal(status.percent, 87.5);
  });

  it("says 100 % when all is in sync, and never before", () => {
    const of = (inSync: number, regionCount: number): number | null =>
      logStatus({ ...LOG, regionCount, description: { ...LOG.description!, inSync } }).percent;
    assert.equal(of(999_999, 1_000_000), 99.99);
    assert.equal(of(8, 8), 100);
    assert.equal(of(1, 3), 33.33);
  });

  it("has nulls for what a log does not tell, and a mirror that was not found", () => {
    const { name, device, percent, inSync, health, legs } = logStatus({
      ...LOG,
      device: undefined,
      description: undefined,
    });
    assert.deepEqual([name, device, percent, inSync, health, legs], [null, null, null, null, null, []]);
  });

  it("is one line for systemd", () => {
    const behind: LogStatus = logStatus(LOG);
    const done: LogStatus = { ...behind, inSync: 8, percent: 100 };
    assert.equal(summary([]), "no mirrors");
    assert.equal(summary([done]), "1 mirror, 1 in sync");
    assert.equal(summary([done, behind]), "2 mirrors, 1 in sync, 1 recovering (87.5 %)");
    assert.equal(
      summary([
        { ...done, health: "D" },
        { ...done, state: "suspended" },
      ]),
      "2 mirrors, 1 in sync, 1 not running, 1 with a failed device",
    );
  });
});
