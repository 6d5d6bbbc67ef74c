import { readFile, stat } from "node:fs/promises";
import { constants } from "node:os";
import path from "node:path";

import { ClogError } from "../../errors";

/** A block device's node. */
export interface FoundDevice {
  readonly path: string;
  /** "MAJOR:MINOR". What is opened by the path has to be of the same. */
  readonly number: string;
}

/** Where devices are looked for. */
export interface DeviceHost {
  /** The mount of sysfs. */
  readonly sys: string;
  /** Where the kernel's own names are. */
  readonly dev: string;
  stat(path: string): Promise<{ isBlockDevice(): boolean; readonly rdev: number }>;
}

// node:os has no name for it
const ENOTBLK = 15;

const HOST: DeviceHost = { sys: "/sys", dev: "/dev", stat };

// makedev(3)'s layout, in which nothing above bit 31 is used by the kernel
function deviceNumber(rdev: number): string {
  return `${Math.floor(rdev / 2 ** 8) & 0xfff}:${(rdev & 0xff) + (Math.floor(rdev / 2 ** 20) << 8)}`;
}

/**
 * A device as a table names it: a path, of which links are followed, or "MAJOR:MINOR", which sysfs has a name for. Throws
 * a {@link ClogError}: ENODEV, ENOTBLK, or what stat(2) says.
 */
export async function findDevice(word: string, host: DeviceHost = HOST): Promise<FoundDevice> {
  if (!/^\d+:\d+$/.test(word)) {
    const found = await host.stat(word).catch((error: unknown) => {
      const { errno = -constants.errno.ENODEV } = error as NodeJS.ErrnoException;
      throw new ClogError({ errno, syscall: "stat", path: word, hint: "name the device by its path or MAJOR:MINOR" });
    });
    if (!found.isBlockDevice()) {
      throw new ClogError({ errno: -ENOTBLK, syscall: "stat", path: word, hint: "it is no block device" });
    }
    return { path: word, number: deviceNumber(found.rdev) };
  }
  const uevent = await readFile(path.join(host.sys, "dev/block", word, "uevent"), "utf8").catch(() => "");
  const name = /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
  if (name === undefined) {
    throw new ClogError({
      errno: -constants.errno.ENODEV,
      syscall: "open",
      path: word,
      hint: "there is no such block device",
    });
  }
  return { path: path.join(host.dev, name), number: word };
}
