// The package layer: what a node needs and the host lacks, unpacked into one tree that is laid over the host's root.

import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";

import { download } from "./apt";
import type { PackageVersion } from "./apt-output";
import { command } from "./command";

export const NODE_PACKAGES: readonly string[] = [
  "corosync",
  "dlm-controld",
  "dmsetup",
  "iproute2",
  "iputils-ping",
  "kmod",
  "nftables",
  "ocfs2-tools",
  "procps",
  "udev",
];

/** The layer lies in `root`, beside the list of what is in it. */
export async function buildLayer(
  packages: readonly PackageVersion[],
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const root = path.join(directory, "root");
  await mkdir(root);
  // Packages of Debian 12 still hold ./lib and ./sbin. As directories of a higher layer these would hide the host's
  // links into /usr, and nothing would run any more.
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    await mkdir(path.join(root, "usr", name), { recursive: true });
    await symlink(`usr/${name}`, path.join(root, name));
  }
  const debs = await mkdtemp(path.join(directory, "debs-"));
  for (const file of await download(packages, debs, signal)) {
    const unpack = 'set -e; dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"';
    await command(["sh", "-c", unpack, "sh", file, root], { signal });
  }
  await rm(debs, { recursive: true });
  const list = packages.map(({ name, version }) => `${name}=${version}\n`).join("");
  await writeFile(path.join(directory, "packages.txt"), list);
}
