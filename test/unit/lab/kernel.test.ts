import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";

import { LabError } from "../../../lib/lab/errors";
import { findKernel } from "../../../lib/lab/image/kernel";
import { put, useTempDir } from "./temp-dir";

describe("lab: a directory with a kernel", () => {
  const root = useTempDir();

  function oldLayout(release: string, directory = root()): void {
    put(directory, `boot/vmlinuz-${release}`);
    put(directory, `lib/modules/${release}/kernel/fs/9p/9p.ko`);
  }

  async function refused(directory: string, words: RegExp): Promise<void> {
    await assert.rejects(findKernel(directory), (error) => {
      assert.ok(error instanceof LabError);
      assert.match(error.message, words);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  }

  it("has its image in boot", async () => {
    oldLayout("6.1.0-56-amd64");
    const { release, image, modules } = await findKernel(root());
    assert.equal(release, "6.1.0-56-amd64");
    assert.equal(image, path.join(root(), "boot/vmlinuz-6.1.0-56-amd64"));
    assert.equal(modules, path.join(root(), "lib/modules/6.1.0-56-amd64"));
  });

  it("has its image beside its modules", async () => {
    put(root(), "usr/lib/modules/7.2.13+deb14-amd64/vmlinuz");
    put(root(), "usr/lib/modules/7.2.13+deb14-amd64/kernel/fs/9p/9p.ko.xz");
    const { release, image, modules } = await findKernel(root());
    assert.equal(release, "7.2.13+deb14-amd64");
    assert.equal(modules, path.join(root(), "usr/lib/modules/7.2.13+deb14-amd64"));
    assert.equal(image, path.join(modules, "vmlinuz"));
  });

  it("may have lib as a link, the image twice, and modules of another kernel", async () => {
    mkdirSync(path.join(root(), "usr"));
    symlinkSync("usr/lib", path.join(root(), "lib"));
    put(root(), "usr/lib/modules/1.2.3/vmlinuz");
    put(root(), "boot/vmlinuz-1.2.3");
    put(root(), "usr/lib/modules/1.2.3/kernel/a.ko.zst");
    put(root(), "usr/lib/modules/1.2.2/kernel/a.ko");
    const { release, modules } = await findKernel(path.relative(process.cwd(), root()));
    assert.equal(release, "1.2.3");
    assert.equal(modules, path.join(root(), "usr/lib/modules/1.2.3"));
  });

  it("must be there and be a directory", async () => {
    await refused(path.join(root(), "none"), /none: there is no such directory$/);
    await refused(put(root(), "file"), /file: there is no such directory$/);
  });

  it("must hold a kernel", async () => {
    put(root(), "lib/modules/1.2.3/kernel/a.ko");
    await refused(root(), /no kernel in it/);
  });

  it("must hold one kernel only", async () => {
    oldLayout("1.2.3");
    oldLayout("1.2.4");
    await refused(root(), /2 kernels in it \(1\.2\.3, 1\.2\.4\)/);
  });

  it("must hold that kernel's modules", async () => {
    put(root(), "boot/vmlinuz-1.2.3");
    await refused(root(), /no modules in it for 1\.2\.3/);
    put(root(), "lib/modules/1.2.4/kernel/a.ko");
    await refused(root(), /no modules in it for 1\.2\.3/);
    put(root(), "lib/modules/1.2.3/modules.order");
    await refused(root(), /no modules in it for 1\.2\.3/);
  });

  it("is another one when its image or a module has changed, been added or moved", async () => {
    oldLayout("1.2.3");
    const stamps = new Set<string>();
    const look = async (directory = root()): Promise<void> => {
      stamps.add((await findKernel(directory)).stamp);
    };
    await look();
    await look();
    assert.equal(stamps.size, 1);
    writeFileSync(path.join(root(), "boot/vmlinuz-1.2.3"), "longer");
    await look();
    assert.equal(stamps.size, 2);
    utimesSync(path.join(root(), "lib/modules/1.2.3/kernel/fs/9p/9p.ko"), 1, 1);
    await look();
    assert.equal(stamps.size, 3);
    put(root(), "lib/modules/1.2.3/updates/dlm.ko");
    await look();
    assert.equal(stamps.size, 4);
    oldLayout("1.2.3", path.join(root(), "other"));
    await look(path.join(root(), "other"));
    assert.equal(stamps.size, 5);
  });
});
