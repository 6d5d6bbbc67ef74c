import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import path from "node:path";

import { LabError } from "../../../lib/lab/errors";
import { buildBootFiles, hasDlm, linkTree, openBootFiles } from "../../../lib/lab/image/boot-files";
import { unpackModule } from "../../../lib/lab/image/initramfs";
import { findKernel } from "../../../lib/lab/image/kernel";
import type { Tools } from "../../../lib/lab/image/tools";
import { put, useTempDir } from "./temp-dir";

const RELEASE = "1.2.3";

// finds modules through links to directories as depmod does, and puts its table in place as depmod does
const DEPMOD = 'cd "$2/lib/modules/$3" && find -L . -name "*.ko" | sort >new && mv -f new modules.dep';

describe("lab: what a kernel is booted with", () => {
  const root = useTempDir();
  const { signal } = new AbortController();
  const tools: Tools = {
    signal,
    busybox: "/bin/false",
    kmod: (name, args) => (name === "depmod" ? ["sh", "-c", DEPMOD, ...args.slice(0, 1), ...args] : ["false"]),
  };

  function listing(directory: string): string[] {
    return readdirSync(directory, { recursive: true, encoding: "utf8" })
      .sort()
      .map((name) => {
        const { size, mtimeMs } = statSync(path.join(directory, name), { throwIfNoEntry: false }) ?? {};
        return `${name} ${size ?? "-"} ${mtimeMs ?? "-"}`;
      });
  }

  async function build(user: string, tool = tools) {
    const kernel = await findKernel(user);
    const entry = path.join(root(), "entry");
    mkdirSync(entry);
    await buildBootFiles(kernel, entry, tool);
    return openBootFiles(kernel, entry);
  }

  function userTree(): string {
    const user = path.join(root(), "user");
    put(user, `boot/vmlinuz-${RELEASE}`, "image");
    put(user, `lib/modules/${RELEASE}/kernel/fs/dlm/dlm.ko`);
    put(user, `lib/modules/${RELEASE}/updates/extra.ko`);
    put(user, `lib/modules/${RELEASE}/top.ko`);
    put(user, `lib/modules/${RELEASE}/modules.builtin`, "kernel/fs/configfs/configfs.ko\n");
    put(user, `lib/modules/${RELEASE}/modules.dep`, "old");
    put(user, `lib/modules/${RELEASE}/vmlinux`, "huge");
    symlinkSync("/usr/src/linux-headers", path.join(user, `lib/modules/${RELEASE}/build`));
    return user;
  }

  it("lies beside the kernel's directory, which stays as it is", async () => {
    const user = userTree();
    const before = listing(user);
    const boot = await build(user);
    assert.deepEqual(listing(user), before);
    assert.equal(readFileSync(boot.image, "utf8"), "image");
    assert.equal(boot.modules, path.join(root(), "entry/lib/modules"));
    const tables = path.join(boot.modules, RELEASE);
    assert.deepEqual(readdirSync(tables).sort(), ["kernel", "modules.builtin", "modules.dep", "top.ko", "updates"]);
    assert.equal(
      readFileSync(path.join(tables, "modules.dep"), "utf8"),
      "./kernel/fs/dlm/dlm.ko\n./top.ko\n./updates/extra.ko\n",
    );
    // mount points
    assert.deepEqual(readdirSync(path.join(tables, "kernel")), []);
    assert.deepEqual(readdirSync(path.join(tables, "updates")), []);
    assert.equal(readlinkSync(path.join(root(), "entry/source")), path.join(user, "lib/modules", RELEASE));
    assert.deepEqual(readdirSync(path.join(root(), "entry")).sort(), ["image", "lib", "source"]);
  });

  it("gives modprobe one tree of tables and modules", async () => {
    const tree = path.join(root(), "tree");
    await linkTree(await build(userTree()), tree);
    const modules = path.join(tree, "lib/modules", RELEASE);
    assert.match(readFileSync(path.join(modules, "modules.dep"), "utf8"), /dlm\.ko/);
    assert.ok(statSync(path.join(modules, "kernel/fs/dlm/dlm.ko")).isFile());
  });

  it("tells a kernel with the DLM, as a module or built in, from one without", async () => {
    const user = userTree();
    assert.equal(await hasDlm(await build(user)), true);
    rmSync(path.join(user, `lib/modules/${RELEASE}/kernel/fs/dlm/dlm.ko`));
    rmSync(path.join(root(), "entry"), { recursive: true });
    assert.equal(await hasDlm(await build(user)), false);
    put(user, `lib/modules/${RELEASE}/modules.builtin`, "kernel/fs/dlm/dlm.ko\n");
    rmSync(path.join(root(), "entry"), { recursive: true });
    assert.equal(await hasDlm(await build(user)), true);
  });

  it("says in one line that depmod cannot read the modules", async () => {
    const failing: Tools = { ...tools, kmod: () => ["sh", "-c", "echo bad >&2; echo module >&2; exit 1"] };
    await assert.rejects(build(userTree(), failing), (error) => {
      assert.ok(error instanceof LabError);
      assert.match(error.message, /^kernel 1\.2\.3: cannot read its modules \(.*module\)$/);
      return true;
    });
  });

  it("unpacks modules for busybox, or says how they are packed", async () => {
    assert.equal(await unpackModule(RELEASE, put(root(), "a.ko"), tools), "a.ko");
    const busybox = put(root(), "busybox", '#!/bin/sh\n[ "$1" = unxz ] && mv "$2" "${2%.xz}"\n');
    chmodSync(busybox, 0o755);
    const unxz: Tools = { ...tools, busybox };
    assert.equal(await unpackModule(RELEASE, put(root(), "b.ko.xz"), unxz), "b.ko");
    assert.ok(existsSync(path.join(root(), "b.ko")));
    await assert.rejects(unpackModule(RELEASE, put(root(), "b.ko.gz"), unxz), /kernel 1\.2\.3 packs .* b\.ko\.gz$/);
    await assert.rejects(
      unpackModule(RELEASE, put(root(), "c.ko.zst", "not zstd"), unxz),
      /kernel 1\.2\.3 packs its modules with zstd .*apt-get install zstd$/,
    );
  });
});
