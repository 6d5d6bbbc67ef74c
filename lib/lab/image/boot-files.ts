// What a kernel needs besides its own files to be booted: depmod's tables and the unpacked image. They lie in the
// cache, because the kernel's directory is somebody else's.

import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { statSync } from "node:fs";
import path from "node:path";

import { LabError } from "../errors";
import { command, CommandError } from "./command";
import { isDiskFull } from "./disk-full";
import type { Kernel } from "./kernel";
import type { Tools } from "./tools";
import { unpackImage } from "./vmlinux";

export interface BootFiles {
  readonly kernel: Kernel;
  /** What QEMU boots. */
  readonly image: string;
  /**
   * The directory that holds <release>/, as a node binds it: depmod's tables, and for each directory of the kernel's
   * own tree an empty one, on which scripts/lab/initramfs-init mounts that one.
   */
  readonly modules: string;
}

/** A link to the kernel's own tree, for scripts/lab/initramfs-init. */
const SOURCE = "source";

export function openBootFiles(kernel: Kernel, entry: string): BootFiles {
  return { kernel, image: path.join(entry, "image"), modules: path.join(entry, "lib/modules") };
}

export async function buildBootFiles(kernel: Kernel, directory: string, tools: Tools): Promise<void> {
  const { modules, image } = openBootFiles(kernel, directory);
  const target = path.join(modules, kernel.release);
  await mkdir(target, { recursive: true });
  await symlink(kernel.modules, path.join(directory, SOURCE));
  const tree = await mkdtemp(path.join(directory, "tree-"));
  const linked = await linkModules(kernel, kernel.modules, tree);
  await runDepmod(kernel, tree, tools);
  for (const name of await readdir(linked)) {
    const file = path.join(linked, name);
    if (statSync(file).isDirectory()) await mkdir(path.join(target, name));
    else await rename(file, path.join(target, name));
  }
  await rm(tree, { recursive: true });
  await unpackImage(kernel.image, image, tools.signal);
}

/** A tree for `modprobe -d`. */
export async function linkTree({ kernel, modules }: BootFiles, tree: string): Promise<void> {
  await linkModules(kernel, path.join(modules, kernel.release), tree);
}

// depmod and modprobe want all in one place: the tables as files, the modules behind links to their directories
async function linkModules(kernel: Kernel, tables: string, tree: string): Promise<string> {
  const target = path.join(tree, "lib/modules", kernel.release);
  await mkdir(target, { recursive: true });
  for (const name of await readdir(kernel.modules)) {
    const file = path.join(kernel.modules, name);
    // links to the kernel's source
    if (name === "build" || name === "source") continue;
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) await symlink(file, path.join(target, name));
  }
  for (const name of await readdir(tables)) {
    if (/^modules\.|\.ko(?:\.\w+)?$/.test(name)) await copyFile(path.join(tables, name), path.join(target, name));
  }
  return target;
}

async function runDepmod(kernel: Kernel, tree: string, tools: Tools): Promise<void> {
  try {
    await command(tools.kmod("depmod", ["-b", tree, kernel.release]), { signal: tools.signal });
  } catch (error) {
    if (!(error instanceof CommandError) || isDiskFull(error)) throw error;
    throw new LabError(`kernel ${kernel.release}: cannot read its modules (${error.message})`);
  }
}

/** Whether the kernel knows the DLM at all: those made for clouds do not. */
export async function hasDlm({ kernel, modules }: BootFiles): Promise<boolean> {
  const lists = ["modules.dep", "modules.builtin"].map(async (name) =>
    readFile(path.join(modules, kernel.release, name), "utf8").catch(() => ""),
  );
  return (await Promise.all(lists)).some((text) => text.includes("/dlm.ko"));
}
