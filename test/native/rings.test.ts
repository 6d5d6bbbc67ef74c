import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const root = path.resolve(__dirname, "../..");
const PURE = ["csrc/dlm/codec.cc", "csrc/dlm/lock_dump.cc"];
const UEVENTS = ["csrc/dlm/uevent.cc", "csrc/sys/uevents.cc"];
const PACKETS = ["csrc/dlmfs/packet.cc", "csrc/dlmfs/range.cc"];
const DM = ["csrc/clog/dm_answer.cc"];
const CLUSTER_NAME = ["csrc/dlmfs/cluster_name.cc", "csrc/sys/own_table.cc"];
const REGIONS = ["csrc/clog/regions.cc"];
const SYSTEM = [
  ...["channel", "codec", "control", "gate", "lock_dump", "lone_write", "submitter"].map(
    (name) => `csrc/dlm/${name}.cc`,
  ),
  ...["event_fd", "holders", "thread"].map((name) => `csrc/sys/${name}.cc`),
  ...["dlm_double", "double_model"].map((name) => `test/native/double/${name}.cc`),
];

// The inner rings need neither N-API nor libuv: plain g++ builds them, which is what lets sanitizers see everything.
describe("C++ rings under sanitizers", function () {
  this.timeout(180_000);
  let place: string;
  before(() => {
    place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-rings-"));
  });
  after(() => {
    rmSync(place, { recursive: true });
  });

  for (const [program, sources, sanitizers] of [
    ["codec_test", PURE, ["address,undefined"]],
    ["uevent_test", UEVENTS, ["address,undefined"]],
    ["opener_packet_test", PACKETS, ["address,undefined"]],
    ["cluster_name_test", CLUSTER_NAME, ["address,undefined"]],
    ["clog_regions_test", REGIONS, ["address,undefined", "thread"]],
    ["dm_tables_test", DM, ["address,undefined"]],
    ["channel_test", SYSTEM, ["address,undefined", "thread"]],
  ] as const) {
    for (const sanitizer of sanitizers) {
      it(`${program} with -fsanitize=${sanitizer}`, () => {
        const out = path.join(place, `${program}-${sanitizer}`);
        const flags = ["-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", `-fsanitize=${sanitizer}`];
        const main = `test/native/rings/${program}.cc`;
        execFileSync("g++", [...flags, "-Icsrc", "-Itest/native", ...sources, main, "-o", out], { cwd: root });
        const { status, stderr } = spawnSync(out, { encoding: "utf8", timeout: 120_000 });
        assert.equal(status, 0, stderr);
      });
    }
  }
});
