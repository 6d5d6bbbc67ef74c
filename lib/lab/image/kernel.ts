// A kernel as a distribution's package unpacks: found in a directory that is only ever read.

import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";

import { LabError } from "../errors";

export interface Kernel {
  /** uname -r */
  readonly release: string;
  /** The bzImage. */
  readonly image: string;
  /** The directory that holds kernel/ with the modules, usually .../lib/modules/<release>; a path without links. */
  readonly modules: string;
  /**
   * Another one for another kernel: the release, and path, size and time of the image and of every single module. A
   * developer's kernel keeps its release and its path while all else changes.
   */
  readonly stamp: string;
}

/** Old packages have boot/vmlinuz-<release>, newer ones usr/lib/modules/<release>/vmlinuz. */
export async function findKernel(directory: string): Promise<Kernel> {
  const root = await realpath(directory).catch(() => undefined);
  if (root === undefined || !(await stat(root)).isDirectory()) {
    throw new LabError(`kernel ${directory}: there is no such directory`);
  }
  const trees = await moduleTrees(root);
  const images = new Map<string, string>();
  for (const [release, tree] of trees) {
    if (existsSync(path.join(tree, "vmlinuz"))) images.set(release, path.join(tree, "vmlinuz"));
  }
  for (const name of await readdir(path.join(root, "boot")).catch(() => [])) {
    const release = /^vmlinuz-(.+)$/.exec(name)?.[1];
    if (release !== undefined) images.set(release, path.join(root, "boot", name));
  }
  const [found, ...others] = images;
  if (found === undefined) {
    throw new LabError(
      `kernel ${directory}: no kernel in it, neither boot/vmlinuz-RELEASE nor usr/lib/modules/RELEASE/vmlinuz`,
    );
  }
  if (others.length > 0) {
    const releases = [...images.keys()].sort().join(", ");
    throw new LabError(`kernel ${directory}: there are ${images.size} kernels in it (${releases}), leave only one`);
  }
  const [release, image] = found;
  const modules = trees.get(release);
  const files = modules === undefined ? [] : listModules(modules);
  if (modules === undefined || files.length === 0) {
    throw new LabError(`kernel ${directory}: no modules in it for ${release} (lib/modules/${release})`);
  }
  return { release, image, modules, stamp: stampOf(release, [image, ...files]) };
}

async function moduleTrees(root: string): Promise<Map<string, string>> {
  const trees = new Map<string, string>();
  // the one may be a link to the other
  for (const base of ["lib/modules", "usr/lib/modules"]) {
    for (const release of await readdir(path.join(root, base)).catch(() => [])) {
      const tree = await realpath(path.join(root, base, release)).catch(() => undefined);
      if (tree !== undefined && (await stat(tree)).isDirectory()) trees.set(release, tree);
    }
  }
  return trees;
}

function listModules(tree: string): string[] {
  return readdirSync(tree, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.ko(?:\.\w+)?$/.test(name))
    .sort()
    .map((name) => path.join(tree, name));
}

function stampOf(release: string, files: readonly string[]): string {
  const hash = createHash("sha256").update(release);
  for (const file of files) {
    const { size, mtimeMs } = lstatSync(file);
    hash.update(`\n${file} ${size} ${mtimeMs}`);
  }
  return hash.digest("hex");
}
