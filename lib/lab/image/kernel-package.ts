// A kernel out of Debian's packages, as it comes: the cache entry is a directory for `findKernel`.

import { rm } from "node:fs/promises";

import { download, kernelParts } from "./apt";
import type { PackageVersion } from "./apt-output";
import type { Cache } from "./cache";
import { fileName } from "./cache";
import { command } from "./command";

// part of the entry's name: count it up when the recipe below changes
const RECIPE = "2";

export async function kernelEntry(cache: Cache, pkg: PackageVersion, signal: AbortSignal): Promise<string> {
  return cache.entry(
    `kernel-${RECIPE}-${fileName(pkg.name)}-${fileName(pkg.version)}`,
    `fetching the kernel ${pkg.name} (once)`,
    async (directory) => {
      for (const file of await download(await kernelParts(pkg, signal), directory, signal)) {
        await command(["dpkg", "-x", file, directory], { signal });
        await rm(file);
      }
    },
  );
}
