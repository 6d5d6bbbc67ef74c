import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { clusterManagers, holders, startTime } from "../../../../lib/dlm/dev/processes";

describe("processes that have to do with the DLM", () => {
  let proc: string;
  beforeEach(() => {
    proc = mkdtempSync(path.join(os.tmpdir(), "clusterlock-proc-"));
    mkdirSync(path.join(proc, "net"));
    writeFileSync(path.join(proc, "net/unix"), "Num RefCount\n0: 2 00 @dlmc_sockets\n");
  });
  afterEach(() => {
    rmSync(proc, { recursive: true });
  });

  function process(pid: number, name: string, ...files: string[]): void {
    const fds = path.join(proc, String(pid), "fd");
    mkdirSync(fds, { recursive: true });
    writeFileSync(path.join(proc, String(pid), "comm"), `${name}\n`);
    files.forEach((file, fd) => {
      symlinkSync(file, path.join(fds, String(fd)));
    });
  }

  it("a cluster manager is known by its name, its device or its socket", () => {
    process(1, "init", "/dev/null");
    assert.deepEqual(clusterManagers(proc), []);
    writeFileSync(path.join(proc, "net/unix"), "0: 2 0 10000 1 01 3 @dlmc_query_sock\n");
    assert.deepEqual(clusterManagers(proc), ["whoever listens at @dlmc_query_sock"]);
    process(7, "dlm_controld");
    process(8, "other", "/dev/null", "/dev/misc/dlm-monitor");
    assert.deepEqual(clusterManagers(proc), ["dlm_controld (process 7)", "other (process 8)"]);
  });

  it("a lockspace is open in who has its device open", () => {
    process(9, "node", "/dev/dlm_a");
    process(10, "node", "/dev/dlm_ab", "/dev/dlm-control");
    assert.deepEqual(holders("a", proc), [{ pid: 9, name: "node" }]);
    assert.deepEqual(holders("c", proc), []);
  });

  it("a start time tells processes of one number apart, whatever they are called", () => {
    process(9, "x");
    const fields = ["S", ...Array.from({ length: 18 }, (_, i) => i), 4711, 0].join(" ");
    writeFileSync(path.join(proc, "9/stat"), `9 (a) S b) ${fields}\n`);
    assert.equal(startTime(9, proc), "4711");
    writeFileSync(path.join(proc, "9/stat"), `9 (a) ${fields.replace("S", "Z")}\n`);
    assert.equal(startTime(9, proc), undefined);
    assert.equal(startTime(10, proc), undefined);
  });
});
