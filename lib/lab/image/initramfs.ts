// The initramfs: busybox, the modules that reach the shared root, and scripts/lab/initramfs-init.

import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { LabError } from "../errors";
import { packageRoot } from "../paths";
import { command } from "./command";
import type { Kernel } from "./kernel";
import type { Tools } from "./tools";

const INIT = path.join(packageRoot, "scripts/lab/initramfs-init");
const MODULES = ["virtio_pci", "virtio_console", "virtio_net", "virtio_blk", "9pnet_virtio", "9p", "overlay"];

/** Everything besides kernel and busybox that decides what is in the initramfs. */
export async function initramfsRecipe(): Promise<string> {
  return `${MODULES.join(" ")}\n${await readFile(INIT, "utf8")}`;
}

export async function buildInitramfs(kernel: Kernel, directory: string, tools: Tools): Promise<void> {
  const { signal } = tools;
  const tree = await mkdtemp(path.join(directory, "tree-"));
  for (const name of ["bin", "modules", "dev", "proc", "sys", "ro", "layer", "rw", "new"]) {
    await mkdir(path.join(tree, name));
  }
  await copyFile(tools.busybox, path.join(tree, "bin/busybox"));
  await chmod(path.join(tree, "bin/busybox"), 0o755);
  await copyFile(INIT, path.join(tree, "init"));
  await chmod(path.join(tree, "init"), 0o755);
  await writeFile(path.join(tree, "modules/order"), (await copyModules(kernel, tree, tools)).join("\n") + "\n");
  const pack = 'cd "$1" && find . | sort | "$2" cpio -o -H newc | gzip -9 > "$3"';
  await command(["sh", "-c", pack, "sh", tree, tools.busybox, path.join(directory, "initramfs.gz")], { signal });
  await rm(tree, { recursive: true });
}

async function copyModules(kernel: Kernel, tree: string, tools: Tools): Promise<string[]> {
  const order: string[] = [];
  for (const file of await moduleFiles(kernel, tools)) {
    const name = path.basename(file);
    await copyFile(file, path.join(tree, "modules", name));
    if (name.endsWith(".xz")) {
      // busybox's insmod reads plain modules only
      await command([tools.busybox, "unxz", path.join(tree, "modules", name)], { signal: tools.signal });
      order.push(name.slice(0, -".xz".length));
    } else if (name.endsWith(".ko")) {
      order.push(name);
    } else {
      throw new LabError(`kernel ${kernel.release} packs its modules in a way unknown to the lab: ${name}`);
    }
  }
  return order;
}

// a module comes after those it needs
async function moduleFiles(kernel: Kernel, tools: Tools): Promise<Set<string>> {
  const files = new Set<string>();
  for (const module of MODULES) {
    const args = ["-d", kernel.root, "-S", kernel.release, "--show-depends", module];
    const answer = await command(tools.kmod("modprobe", args), { signal: tools.signal });
    for (const line of answer.split("\n")) {
      const file = /^insmod (\S.*?)\s*$/.exec(line)?.[1];
      if (file !== undefined) files.add(file);
    }
  }
  return files;
}
