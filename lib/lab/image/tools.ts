// Tools from packages that the host need not have: run out of the cache.

import { existsSync } from "node:fs";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";

import { download } from "./apt";
import type { PackageVersion } from "./apt-output";
import { command } from "./command";

export interface Tools {
  readonly signal: AbortSignal;
  /** A static busybox. */
  readonly busybox: string;
  /** The argument vector of one of kmod's names (depmod, modprobe). */
  readonly kmod: (name: string, args: readonly string[]) => string[];
}

export async function buildBusybox(pkg: PackageVersion, directory: string, signal: AbortSignal): Promise<void> {
  const unpacked = await mkdtemp(path.join(directory, "deb-"));
  for (const file of await download([pkg], unpacked, signal)) await command(["dpkg", "-x", file, unpacked], { signal });
  const found = ["bin/busybox", "usr/bin/busybox"].map((name) => path.join(unpacked, name)).find(existsSync);
  if (found === undefined) throw new Error("the package busybox-static holds no busybox");
  await copyFile(found, path.join(directory, "busybox"));
  await rm(unpacked, { recursive: true });
}

/** kmod is the host's own if it has one, else the one in the nodes' package layer. */
export function openTools(busybox: string, layer: string, signal: AbortSignal): Tools {
  const kmod = (name: string, args: readonly string[]): string[] => {
    const layered = path.join(layer, "usr/bin/kmod");
    if (!existsSync(layered)) return [`/sbin/${name}`, ...args];
    // kmod goes by the name it is called by. It finds its libraries first in the layer and then on the host; a C library
    // in the layer must be loaded by its own loader.
    const lib = path.join(layer, "usr/lib/x86_64-linux-gnu");
    const own = path.join(lib, "ld-linux-x86-64.so.2");
    const loader = existsSync(own) ? own : "/lib64/ld-linux-x86-64.so.2";
    return [loader, "--library-path", lib, "--argv0", name, layered, ...args];
  };
  return { signal, busybox: path.join(busybox, "busybox"), kmod };
}
