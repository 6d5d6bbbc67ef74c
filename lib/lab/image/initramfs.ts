// The initramfs: busybox, the modules that reach the shared root, and scripts/lab/initramfs-init.

import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { LabError } from "../errors";
import { packageRoot } from "../paths";
import type { BootFiles } from "./boot-files";
import { linkTree } from "./boot-files";
import { command, CommandError } from "./command";
import { isDiskFull } from "./disk-full";
import type { Tools } from "./tools";

const INIT = path.join(packageRoot, "scripts/lab/initramfs-init");
const MODULES = ["virtio_pci", "virtio_console", "virtio_net", "virtio_blk", "9pnet_virtio", "9p", "overlay"];

/** Everything besides kernel and busybox that decides what is in the initramfs. */
export async function initramfsRecipe(): Promise<string> {
  return `${MODULES.join(" ")}\n${await readFile(INIT, "utf8")}`;
}

export async function buildInitramfs(boot: BootFiles, directory: string, tools: Tools): Promise<void> {
  const { signal } = tools;
  const tree = await mkdtemp(path.join(directory, "tree-"));
  for (const name of ["bin", "modules", "dev", "proc", "sys", "ro", "layer", "rw", "new"]) {
    await mkdir(path.join(tree, name));
  }
  await copyFile(tools.busybox, path.join(tree, "bin/busybox"));
  await chmod(path.join(tree, "bin/busybox"), 0o755);
  await copyFile(INIT, path.join(tree, "init"));
  await chmod(path.join(tree, "init"), 0o755);
  const links = await mkdtemp(path.join(directory, "links-"));
  await linkTree(boot, links);
  const order = await copyModules(boot, links, tree, tools);
  await writeFile(path.join(tree, "modules/order"), order.map((name) => `${name}\n`).join(""));
  const pack = 'cd "$1" && find . | sort | "$2" cpio -o -H newc | gzip -9 > "$3"';
  await command(["sh", "-c", pack, "sh", tree, tools.busybox, path.join(directory, "initramfs.gz")], { signal });
  await rm(links, { recursive: true });
  await rm(tree, { recursive: true });
}

async function copyModules(boot: BootFiles, links: string, tree: string, tools: Tools): Promise<string[]> {
  const order: string[] = [];
  for (const file of await moduleFiles(boot, links, tools)) {
    const name = path.basename(file);
    const copy = path.join(tree, "modules", name);
    await copyFile(file, copy);
    // whoever packed the tree may have left it read-only
    await chmod(copy, 0o644);
    order.push(await unpackModule(boot.kernel.release, copy, tools));
  }
  return order;
}

/** Unpacks a module in its place, since busybox's insmod reads plain ones only; returns its plain name. */
export async function unpackModule(release: string, file: string, tools: Tools): Promise<string> {
  const { name, ext } = path.parse(file);
  switch (ext) {
    case ".ko":
      return name + ext;
    case ".xz":
      await command([tools.busybox, "unxz", file], { signal: tools.signal });
      return name;
    case ".zst":
      await unpackZstd(release, file, tools.signal);
      return name;
    default:
      throw new LabError(`kernel ${release} packs its modules in a way unknown to the lab: ${name}${ext}`);
  }
}

async function unpackZstd(release: string, file: string, signal: AbortSignal): Promise<void> {
  try {
    await command(["zstd", "-q", "-d", "--rm", file], { signal });
  } catch (error) {
    if (!(error instanceof CommandError) || isDiskFull(error)) throw error;
    throw new LabError(`kernel ${release} packs its modules with zstd (${error.message}): apt-get install zstd`);
  }
}

// a module comes after those it needs
async function moduleFiles({ kernel }: BootFiles, links: string, tools: Tools): Promise<Set<string>> {
  const files = new Set<string>();
  for (const module of MODULES) {
    const args = ["-d", links, "-S", kernel.release, "--show-depends", module];
    const answer = await command(tools.kmod("modprobe", args), { signal: tools.signal }).catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      throw new LabError(
        `kernel ${kernel.release} lacks ${module}, which nodes need and kernels for clouds do not have: take another`,
      );
    });
    for (const line of answer.split("\n")) {
      const file = /^insmod (\S.*?)\s*$/.exec(line)?.[1];
      if (file !== undefined) files.add(file);
    }
  }
  return files;
}
