import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { type DeviceHost, findDevice } from "../../../../lib/clog/log/find-device";

describe("a device's name in a table", () => {
  let directory: string;
  let host: DeviceHost;

  before(() => {
    directory = mkdtempSync(path.join(tmpdir(), "clusterlock-find-device-"));
    mkdirSync(path.join(directory, "dev/block/253:3"), { recursive: true });
    writeFileSync(path.join(directory, "dev/block/253:3/uevent"), "MAJOR=253\nMINOR=3\nDEVNAME=dm-3\nDEVTYPE=disk\n");
    // /dev/mapper/log, of 253:300
    const found = { isBlockDevice: () => true, rdev: ((300 >> 8) << 20) | (253 << 8) | (300 & 0xff) };
    host = {
      sys: directory,
      dev: "/dev",
      stat: (name) => (name === "/dev/mapper/log" ? Promise.resolve(found) : stat(name)),
    };
  });

  after(() => {
    rmSync(directory, { recursive: true });
  });

  it("is what sysfs calls its numbers", async () => {
    assert.deepEqual(await findDevice("253:3", host), { path: "/dev/dm-3", number: "253:3" });
  });

  it("is a path, of which the device's numbers are known before it is opened", async () => {
    assert.deepEqual(await findDevice("/dev/mapper/log", host), { path: "/dev/mapper/log", number: "253:300" });
  });

  it("is refused when there is no such device, or when it is something else", async () => {
    await assert.rejects(findDevice("253:4", host), { code: "ENODEV" });
    await assert.rejects(findDevice(path.join(directory, "none"), host), { code: "ENOENT", syscall: "stat" });
    await assert.rejects(findDevice("/dev/null", host), { code: "ENOTBLK" });
    await assert.rejects(findDevice(directory, host), { code: "ENOTBLK" });
  });
});
