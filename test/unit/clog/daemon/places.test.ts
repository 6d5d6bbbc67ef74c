import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, openSync, closeSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import path from "node:path";

import {
  dangers,
  listMirrors,
  mirrorsOf,
  placeOf,
  placeOfStream,
  type Roots,
  swapPlaces,
} from "../../../../lib/clog/daemon/places";
import { type NativeDmDevice, useAddon } from "../../../../lib/native";
import { NO_ADDON } from "../../support/no-addon";

const MIRROR: NativeDmDevice = {
  name: "vg-mirror",
  uuid: "LVM-mirror",
  major: 253,
  minor: 3,
  suspended: false,
  active: [
    { start: 0, length: 8192, type: "mirror", params: "userspace 4 LVM-abc clustered-core 1024 nosync 2 8:1 0 8:2 0" },
  ],
  inactive: [],
};

describe("where the daemon must not be", () => {
  let roots: Roots;
  let base: string;
  let here: string;
  beforeEach(() => {
    base = mkdtempSync(path.join(tmpdir(), "clogd-"));
    roots = { sys: path.join(base, "sys"), proc: path.join(base, "proc") };
    mkdirSync(path.join(roots.proc, "self"), { recursive: true });
    mkdirSync(path.join(roots.sys, "dev/block"), { recursive: true });
    const { dev } = statSync(base);
    here = `${((dev >> 8) & 0xfff).toString()}:${(dev & 0xff).toString()}`;
  });
  afterEach(() => {
    useAddon(undefined);
    rmSync(base, { recursive: true });
  });

  /** A device of sysfs, and what it stands on. */
  function device(name: string, number: string, { slaves = [] as string[], parent = "", loop = "" } = {}): void {
    const directory = path.join(roots.sys, "devices", parent, name);
    mkdirSync(path.join(directory, "slaves"), { recursive: true });
    writeFileSync(path.join(directory, "dev"), `${number}\n`);
    if (parent !== "") writeFileSync(path.join(directory, "partition"), "1\n");
    for (const slave of slaves)
      symlinkSync(path.join(roots.sys, "devices", slave), path.join(directory, "slaves", slave));
    if (loop !== "") {
      mkdirSync(path.join(directory, "loop"));
      writeFileSync(path.join(directory, "loop/backing_file"), `${loop}\n`);
    }
    symlinkSync(directory, path.join(roots.sys, "dev/block", number));
  }

  const mirrors = mirrorsOf([MIRROR]);
  const at = (number: string): string[] =>
    dangers([{ what: "it", device: number }], mirrors, roots).map(({ mirror }) => mirror);

  it("is a mirror whose log is in userspace, of the live table or the next one", () => {
    const [target] = MIRROR.active;
    const next = { ...MIRROR, minor: 4, name: "next", active: [], inactive: MIRROR.active };
    const kernels = { ...MIRROR, minor: 5, active: [{ ...target!, params: "disk 2 8:3 1024 2 8:1 0 8:2 0" }] };
    const linear = { ...MIRROR, minor: 6, active: [{ ...target!, type: "linear", params: "userspace 0" }] };
    assert.deepEqual(
      [...mirrorsOf([MIRROR, next, kernels, linear])],
      [
        ["253:3", "vg-mirror"],
        ["253:4", "next"],
      ],
    );
    assert.deepEqual(at("253:3"), ["vg-mirror"]);
    assert.deepEqual(at("253:5"), []);
  });

  it("is nowhere on a machine without device-mapper, and not to be told where that refuses", async () => {
    let errno = -constants.errno.ENODEV;
    useAddon({
      ...NO_ADDON,
      listDmDevices: (callback) => {
        callback({ errno, syscall: "open" }, undefined);
      },
    });
    assert.equal((await listMirrors()).size, 0);
    errno = -constants.errno.EACCES;
    await assert.rejects(listMirrors(), { code: "EACCES", path: "/dev/mapper/control" });
  });

  it("is what stands on one: other dm devices, md, and partitions", () => {
    device("sda", "8:0");
    device("dm-3", "253:3", { slaves: ["sda"] });
    device("dm-7", "253:7", { slaves: ["dm-3"] });
    device("md0", "9:0", { slaves: ["sda", "dm-7"] });
    device("md0p1", "259:0", { parent: "md0" });
    for (const number of ["253:7", "9:0", "259:0"]) assert.deepEqual(at(number), ["vg-mirror"], number);
    assert.deepEqual(at("8:0"), [], "a leg's disk");
  });

  it("is a loop device's file there", () => {
    const image = path.join(base, "image");
    writeFileSync(image, "");
    device("loop0", "7:0", { loop: image });
    device("disk", here, { slaves: ["dm-3"] });
    device("dm-3", "253:3");
    const found = here.startsWith("0:") ? [] : ["vg-mirror"];
    assert.deepEqual(at("7:0"), found);
  });

  it("ends for devices that stand on each other", () => {
    device("dm-1", "253:1", { slaves: ["dm-2"] });
    device("dm-2", "253:2", { slaves: ["dm-1"] });
    assert.deepEqual(at("253:1"), []);
  });

  it("is told of a file that is not there yet by its directory, and of streams only when they are files", () => {
    const wanted = placeOf("it", base, roots);
    assert.deepEqual(placeOf("it", path.join(base, "not/there/yet"), roots), wanted);
    const file = path.join(base, "log");
    const fd = openSync(file, "w");
    assert.deepEqual(placeOfStream("it", fd, roots), wanted);
    closeSync(fd);
    assert.equal(placeOfStream("it", fd, roots), undefined);
    const device = openSync("/dev/null", "w");
    assert.equal(placeOfStream("it", device, roots), undefined);
    closeSync(device);
  });

  it("is swap: files, and devices", () => {
    const file = path.join(base, "swap file");
    writeFileSync(file, "");
    writeFileSync(
      path.join(roots.proc, "swaps"),
      `Filename Type Size Used Priority\n${file.replace(" ", "\\040")} file 1024 0 -2\n/gone partition 1 0 -3\n`,
    );
    const wanted = placeOf(`the swap space ${file}`, file, roots);
    assert.deepEqual(swapPlaces(roots), wanted === undefined ? [] : [wanted]);
  });
});
