// A distribution kernel, unpacked into the cache.

import { copyFile, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { LabError } from "../errors";
import { download } from "./apt";
import type { PackageVersion } from "./apt-output";
import { command, CommandError } from "./command";
import type { Tools } from "./tools";

export interface Kernel {
  /** What QEMU boots. */
  readonly image: string;
  /** uname -r */
  readonly release: string;
  /** The directory that holds lib/modules/<release>. */
  readonly root: string;
}

export async function buildKernel(pkg: PackageVersion, directory: string, tools: Tools): Promise<void> {
  const { signal } = tools;
  for (const file of await download([pkg], directory, signal)) {
    await command(["dpkg", "-x", file, directory], { signal });
    await rm(file);
  }
  const { release, root } = await openKernel(directory, false);
  await command(tools.kmod("depmod", ["-b", root, release]), { signal });
  await unpackImage(path.join(root, "boot", `vmlinuz-${release}`), path.join(root, "vmlinux"), signal);
}

export async function openKernel(root: string, built = true): Promise<Kernel> {
  const releases = await readdir(path.join(root, "lib/modules")).catch(() => []);
  const [release] = releases;
  if (release === undefined || releases.length > 1) throw new LabError(`${root} does not hold one kernel's modules`);
  return { root, release, image: built ? path.join(root, "vmlinux") : path.join(root, "boot", `vmlinuz-${release}`) };
}

const SETUP_SECTORS = 0x1f1;
const BOOT_MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);

// An emulated processor needs over a second to decompress a kernel, on every boot of every node: do it once, here.
// (Documentation/x86/boot.rst says where the payload lies; QEMU boots the ELF file within by the PVH entry point.)
async function unpackImage(bzImage: string, target: string, signal: AbortSignal): Promise<void> {
  const payload = xzPayload(await readFile(bzImage));
  if (payload !== undefined) {
    await writeFile(`${target}.xz`, payload);
    try {
      // not busybox: kernels are packed with a filter for x86 code that it cannot undo
      await command(["xz", "-d", `${target}.xz`], { signal });
      return;
    } catch (error) {
      // no xz on this host: nodes boot a little slower
      if (!(error instanceof CommandError)) throw error;
      await rm(`${target}.xz`, { force: true });
    }
  }
  await copyFile(bzImage, target);
}

function xzPayload(image: Buffer): Buffer | undefined {
  if (image.toString("latin1", BOOT_MAGIC, BOOT_MAGIC + 4) !== "HdrS") return undefined;
  const start = (image.readUInt8(SETUP_SECTORS) + 1) * 512 + image.readUInt32LE(PAYLOAD_OFFSET);
  // the payload ends with its unpacked size, four bytes that are not xz's
  const payload = image.subarray(start, start + image.readUInt32LE(PAYLOAD_LENGTH) - 4);
  return payload.subarray(0, XZ_MAGIC.length).equals(XZ_MAGIC) ? payload : undefined;
}
