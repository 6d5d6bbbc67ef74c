// The Vagrantfile, as far as vagrant itself checks it: no machine is made.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const ROOT = path.resolve(__dirname, "../..");

describe("lab: the Vagrantfile", function () {
  this.timeout(60_000);
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync("/tmp/clt-vagrant-");
    for (const name of ["Vagrantfile", "scripts"]) {
      cpSync(path.join(ROOT, name), path.join(directory, name), { recursive: true });
    }
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  // a copy, for vagrant writes beside the Vagrantfile
  function validate(env: Readonly<Record<string, string>> = {}): { status: number | null; said: string } {
    const { status, stdout, stderr } = spawnSync("vagrant", ["validate"], {
      cwd: directory,
      encoding: "utf8",
      env: {
        ...process.env,
        VAGRANT_HOME: path.join(directory, "home"),
        VAGRANT_DEFAULT_PROVIDER: "libvirt",
        VAGRANT_CHECKPOINT_DISABLE: "1",
        CLUSTERLOCK_NODE_BINARY: process.execPath,
        ...env,
      },
    });
    return { status, said: `${stdout}${stderr}` };
  }

  function change(from: string, to: string): void {
    const file = path.join(directory, "Vagrantfile");
    const text = readFileSync(file, "utf8");
    assert.ok(text.includes(from), from);
    writeFileSync(file, text.replace(from, to));
  }

  for (const stack of ["dlm", "o2cb"]) {
    it(`is valid for stack ${stack}`, () => {
      const { status, said } = validate({
        CLUSTERLOCK_STACK: stack,
        CLUSTERLOCK_DISKS: "1G 2G",
        CLUSTERLOCK_NODES: "3",
      });
      assert.equal(status, 0, said);
      assert.match(said, /validated successfully/);
    });
  }

  it("would not be with an option that vagrant-libvirt does not have", () => {
    change("libvirt.cpus = cpus", "libvirt.cpus = cpus\n    libvirt.processors = cpus");
    const { status, said } = validate();
    assert.notEqual(status, 0);
    assert.match(said, /processors/);
  });

  it("would not be without a script that it provisions with", () => {
    change("scripts/vagrant/provision.sh", "scripts/vagrant/absent.sh");
    const { status, said } = validate();
    assert.notEqual(status, 0);
    assert.match(said, /absent\.sh/);
  });

  it("says what is wrong with its environment", () => {
    const { status, said } = validate({ CLUSTERLOCK_STACK: "gfs" });
    assert.notEqual(status, 0);
    assert.match(said, /CLUSTERLOCK_STACK: there is no "gfs"/);
  });
});
