import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type { DaemonStatus } from "../../../lib/clog/daemon/status";
import { CLOGD_HELP } from "../../../lib/cli/clogd/help";
import { serveOptions, statusOptions } from "../../../lib/cli/clogd/options";
import { printStatus } from "../../../lib/cli/clogd/print";
import { UsageError } from "../../../lib/cli/usage-error";

const ROOT = path.resolve(__dirname, "../../..");

function clogd(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = path.join(ROOT, "lib/cli/main.ts");
  const argv = ["--import", "tsx", main, "clogd", ...args];
  return spawnSync(process.execPath, argv, { cwd: ROOT, encoding: "utf8" });
}

describe("the command line of clusterlock clogd", function () {
  this.timeout(30_000);

  it("has a help of 110 columns at most, with every option", () => {
    const { status, stdout } = clogd("--help");
    assert.equal(status, 0);
    assert.equal(stdout, CLOGD_HELP);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 110, line);
  });

  it("refuses what it does not know with 64", () => {
    for (const words of [["sideways"], ["--sideways"], ["status", "--pidfile", "x"], ["stop", "now"]]) {
      const { status, stderr } = clogd(...words);
      assert.equal(status, 64, words.join(" "));
      assert.match(stderr, /^clusterlock clogd: .*; see clusterlock clogd --help\n$/);
    }
  });

  it("says with 69 that no daemon answers", () => {
    const directory = mkdtempSync(path.join(tmpdir(), "clogd-"));
    for (const verb of ["status", "stop"]) {
      const { status, stdout, stderr } = clogd(verb, "--directory", directory);
      assert.deepEqual([status, stdout], [69, ""]);
      assert.equal(stderr, `clusterlock clogd: no daemon answers at ${directory}/status.sock\n`);
    }
    rmSync(directory, { recursive: true });
  });

  it("takes its options, negative numbers too", () => {
    assert.deepEqual(serveOptions([]), {
      directory: undefined,
      pidfile: undefined,
      lockMemory: false,
      ioFlusher: false,
      oomScoreAdj: undefined,
      clearDelay: undefined,
      verbose: false,
    });
    const { lockMemory, ioFlusher, oomScoreAdj } = serveOptions(["--protect"]);
    assert.deepEqual([lockMemory, ioFlusher, oomScoreAdj], [true, true, -1000]);
    assert.equal(serveOptions(["--protect", "--oom-score-adj", "-500", "--verbose"]).oomScoreAdj, -500);
    assert.equal(serveOptions(["--oom-score-adj=17"]).oomScoreAdj, 17);
    assert.equal(serveOptions(["--clear-delay", "0.5"]).clearDelay, 500);
    assert.deepEqual(statusOptions(["--json", "--directory", "/d"]), { directory: "/d", json: true });
  });

  it("refuses values that cannot be", () => {
    for (const words of [
      ["--oom-score-adj", "-1001"],
      ["--oom-score-adj", "1.5"],
      ["--oom-score-adj", "much"],
      ["--oom-score-adj", ""],
      ["--clear-delay", "-1"],
      // a table of a log with no delay at all would be refused
      ["--clear-delay", "0"],
      ["--clear-delay", "1e9"],
      ["--pidfile", ""],
      ["--pidfile"],
      ["-5"],
    ]) {
      assert.throws(() => serveOptions(words), UsageError, words.join(" "));
    }
  });

  it("shows the status in 100 columns", () => {
    const requests = Object.fromEntries(
      ["IN_SYNC", "IS_REMOTE_RECOVERING"].map((name) => [
        name,
        { count: 123_456_789, p50: 16, p99: 512, max: 8_123_456 },
      ]),
    );
    const status: DaemonStatus = {
      pid: 4_194_304,
      startTicks: "1",
      version: "0.1.0",
      uptime: 100_000,
      directory: "/run/clusterlock/clogd",
      state: "serving",
      protection: { lockMemory: true, ioFlusher: true, oomScoreAdj: -1000 },
      warnings: ["another socket hears the kernel's requests: port 4711"],
      counts: { received: 1, fast: 123_456_789, slow: 12_345, retries: 2, coalesced: 1, dropped: 0, overruns: 0 },
      troubles: { retry: 2 },
      linesDropped: 0,
      requests,
      logs: [
        {
          uuid: `LVM-${"x".repeat(64)}`,
          luid: "0xff304d91d8afe800",
          type: "clustered-disk",
          args: [],
          state: "active",
          name: "vg-mirror",
          device: "253:4",
          length: 8192,
          regionSize: 1024,
          regions: 2_097_152,
          inSync: 2_097_151,
          marked: 1_000,
          dirty: 2_000,
          percent: 99.99,
          health: "D",
          legs: ["253:1", "253:2"],
          logDevice: "253:3",
        },
      ],
    };
    const text = printStatus(status);
    for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
    assert.match(text, /^clogd 0\.1\.0, process 4194304, serving, up 1 d 3 h; /);
    assert.match(text, /vg-mirror {2}253:4, clustered-disk, active\n {2}99\.99 % in sync \(2097151\/2097152 regions\)/);
    assert.match(text, /LOG DEVICE FAILED/);
    assert.match(text, /^IS_REMOTE_RECOVERING +123456789 +16 +512 +8123456$/m);
    assert.match(printStatus({ ...status, logs: [], uptime: 0 }), /up 0 s;[^]*no logs/);
  });
});
