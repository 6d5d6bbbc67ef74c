import { readFile } from "node:fs/promises";

import { ROOTS } from "./roots";

/** The type that statfs(2) gives. Source: fs/ocfs2/dlmfs/dlmfs.c, OCFS2_DLMFS_MAGIC. */
export const DLMFS_MAGIC = 0x76a9f425;

/**
 * A place where ocfs2_dlmfs is mounted. Each mount(2) makes a file system of its own, with its own number: an owner of
 * locks that excludes the others, like another node. Places with equal numbers (bind mounts) are one.
 */
export interface DlmfsMount {
  path: string;
  /** The file system's number, `MAJOR:MINOR`. */
  device: string;
  /** What of the file system is seen here: "/", unless a part of it was bind-mounted. */
  root: string;
  /** False: something else was mounted over it. Undefined: it could not be asked. */
  visible: boolean | undefined;
}

/** All that is mounted where this process sees it, in the order of mounting. */
export async function readMountinfo(): Promise<MountinfoLine[]> {
  return parseMountinfo(await readFile(`${ROOTS.proc}/self/mountinfo`, "utf8"));
}

export async function dlmfsMounts(all: readonly MountinfoLine[]): Promise<DlmfsMount[]> {
  const top = new Map(all.map((mount) => [mount.path, mount]));
  return Promise.all(
    all
      .filter(({ type }) => type === "ocfs2_dlmfs")
      .map(async (mount) => {
        const { path, device, root } = mount;
        return { path, device, root, visible: top.get(path) === mount && (await isDlmfs(path)) };
      }),
  );
}

export function isMounted(all: readonly MountinfoLine[], type: string, path: string): boolean {
  return all.some((mount) => mount.type === type && mount.path === path);
}

/** Asks for the root that is mounted there and nothing below it. Undefined: that failed. */
export async function isDlmfs(path: string): Promise<boolean | undefined> {
  try {
    return (await ROOTS.statfsType(path)) === DLMFS_MAGIC;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? false : undefined;
  }
}

export interface MountinfoLine {
  path: string;
  device: string;
  root: string;
  type: string;
}

/** proc(5): `36 35 98:0 /root /path options [tags] - type source options`, with blanks in paths as octal numbers. */
export function parseMountinfo(text: string): MountinfoLine[] {
  return text.split("\n").flatMap((line) => {
    const [, , device, root, path, ...rest] = line.split(" ");
    const type = rest[rest.indexOf("-") + 1];
    if (device === undefined || root === undefined || path === undefined || type === undefined) return [];
    return [{ path: unescape(path), device, root: unescape(root), type }];
  });
}

function unescape(text: string): string {
  // the kernel escapes bytes, of which UTF-8's own are none
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
