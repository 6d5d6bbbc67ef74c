import assert from "node:assert/strict";
import fs from "node:fs";

import { RecoveryProbe } from "../../../../lib/fs-dlm/watch/recovery";

import { FakeSysfs } from "./fake-sysfs";

describe("the probe of a lockspace's recovery", () => {
  let sysfs: FakeSysfs;
  let probe: RecoveryProbe;
  const { openSync, readSync } = fs;

  const fail = (code: string) => (): never => {
    throw Object.assign(new Error(code), { code });
  };
  const start = (lockspace = "a"): void => {
    probe = new RecoveryProbe(lockspace, `${sysfs.root}/kernel/dlm`);
  };

  beforeEach(() => {
    sysfs = new FakeSysfs().add("a");
  });
  afterEach(() => {
    Object.assign(fs, { openSync, readSync });
    probe.close();
    sysfs.remove();
  });

  it("tells a lockspace that runs from one that stands still", () => {
    start();
    assert.equal(probe.read(), "running");
    sysfs.setRunning("a", false);
    assert.equal(probe.read(), "stopped");
  });

  it("says gone on ENODEV, and nothing else", () => {
    start();
    for (const code of ["ENOMEM", "EIO", "EINTR", "EBADF"]) {
      fs.readSync = fail(code);
      assert.equal(probe.read(), undefined, code);
    }
    fs.readSync = fail("ENODEV");
    assert.equal(probe.read(), "gone");
    fs.readSync = readSync;
    assert.equal(probe.read(), "running");
  });

  it("takes an empty answer for none", () => {
    start();
    fs.readSync = () => 0;
    assert.equal(probe.read(), undefined);
  });

  for (const [code, tries] of [
    ["EMFILE", 3],
    ["ENOENT", 1],
    ["EACCES", 1],
  ] as const) {
    it(`${tries > 1 ? "opens again" : "does not ask again"} after ${code}`, () => {
      let tried = 0;
      fs.openSync = () => {
        tried++;
        return fail(code)();
      };
      start();
      assert.deepEqual([probe.read(), probe.read(), tried], [undefined, undefined, tries]);
      fs.openSync = openSync;
      assert.equal(probe.read(), tries > 1 ? "running" : undefined);
    });
  }

  it("opens nothing once it is closed", () => {
    start();
    probe.close();
    probe.close();
    assert.equal(probe.read(), undefined);
  });
});
