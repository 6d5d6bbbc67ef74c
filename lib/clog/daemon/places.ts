// Where the daemon must not be: on a mirror whose log it serves. Whoever waits there for a read or a write waits for a daemon
// that waits for him.
//
// As good as sysfs tells: through partitions, dm and md devices, loop devices, and file systems of several devices by the
// one that is mounted. Not through overlayfs, network file systems, and block devices of other machines.

import { fstatSync, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { constants as os } from "node:os";
import path from "node:path";

import { ClogError } from "../../errors";
import { native, type NativeDmDevice, type NativeSystemFailure } from "../../native";

/** Something that the daemon would read or write, with the device it is on. */
export interface Place {
  /** For a message: "the pidfile /run/clogd.pid". */
  readonly what: string;
  /** "MAJOR:MINOR" */
  readonly device: string;
}

/** A place, and the mirror that it is on. */
export interface Danger {
  readonly what: string;
  /** Its name in /dev/mapper. */
  readonly mirror: string;
}

export interface Roots {
  readonly sys: string;
  readonly proc: string;
}

const ABSENT: ReadonlySet<number> = new Set([-os.errno.ENOENT, -os.errno.ENODEV, -os.errno.ENXIO]);

const ROOTS: Roots = { sys: "/sys", proc: "/proc" };

/** The place of a file or of what it would be made in; undefined when that is on no block device. */
export function placeOf(what: string, file: string, roots: Roots = ROOTS): Place | undefined {
  for (let at = path.resolve(file); ; at = path.dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false });
    if (stat !== undefined) return place(what, stat.dev, roots);
    if (at === path.dirname(at)) return undefined;
  }
}

/** Of a standard stream that is a regular file: Node writes these while everything waits. */
export function placeOfStream(what: string, fd: number, roots: Roots = ROOTS): Place | undefined {
  let stat: Stats;
  try {
    stat = fstatSync(fd);
  } catch {
    return undefined; // it is closed
  }
  return stat.isFile() ? place(what, stat.dev, roots) : undefined;
}

/** Swap that is in use now. */
export function swapPlaces(roots: Roots = ROOTS): Place[] {
  const [, ...lines] = read(`${roots.proc}/swaps`).split("\n");
  return lines.flatMap((line) => {
    const file = unescape(line.split(/\s/, 1)[0] ?? "");
    const stat = file === "" ? undefined : statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const found = stat.isBlockDevice() ? { what: "", device: pair(stat.rdev) } : place("", stat.dev, roots);
    return found === undefined ? [] : [{ ...found, what: `the swap space ${file}` }];
  });
}

/** Those of the places that are on a mirror of ours. */
export function dangers(
  places: readonly Place[],
  mirrors: ReadonlyMap<string, string>,
  roots: Roots = ROOTS,
): Danger[] {
  return places.flatMap(({ what, device }) => {
    const found = below(device, roots).find((at) => mirrors.has(at));
    return found === undefined ? [] : [{ what, mirror: mirrors.get(found) ?? found }];
  });
}

/** The name of each mirror with a log in userspace, by its device number. */
export function mirrorsOf(devices: readonly NativeDmDevice[]): Map<string, string> {
  const ours = devices.filter(({ active, inactive }) =>
    [...active, ...inactive].some(({ type, params }) => type === "mirror" && /^userspace\s/.test(params)),
  );
  return new Map(ours.map(({ name, major, minor }) => [`${major}:${minor}`, name]));
}

export async function listMirrors(): Promise<Map<string, string>> {
  const devices = await new Promise<NativeDmDevice[]>((resolve, reject) => {
    native().listDmDevices((failure, found) => {
      // without device-mapper there are none; it is loaded for the first of them
      if (failure !== undefined && ABSENT.has(failure.errno)) resolve([]);
      else if (failure !== undefined) reject(refused(failure));
      else resolve(found ?? []);
    });
  });
  return mirrorsOf(devices);
}

function refused({ errno, syscall }: NativeSystemFailure): ClogError {
  const denied = errno === -os.errno.EACCES || errno === -os.errno.EPERM;
  const hint = denied ? "it needs CAP_SYS_ADMIN; run it as root" : undefined;
  return new ClogError({ errno, syscall, path: "/dev/mapper/control", hint });
}

function place(what: string, dev: number, roots: Roots): Place | undefined {
  const device = pair(dev);
  if (!device.startsWith("0:")) return { what, device };
  // btrfs and its like have a number of their own: what was mounted is a device of theirs
  const source = mountSource(device, roots);
  const stat = source?.startsWith("/") === true ? statSync(source, { throwIfNoEntry: false }) : undefined;
  return stat?.isBlockDevice() === true ? { what, device: pair(stat.rdev) } : undefined;
}

function mountSource(device: string, roots: Roots): string | undefined {
  for (const line of read(`${roots.proc}/self/mountinfo`).split("\n")) {
    // 36 35 0:32 / /data rw,noatime shared:1 - btrfs /dev/dm-3 rw
    const [mount = "", source = ""] = line.split(" - ");
    if (mount.split(" ")[2] === device) return unescape(source.split(" ")[1] ?? "");
  }
  return undefined;
}

/** The device and everything it is stacked on. */
function below(device: string, roots: Roots): string[] {
  const seen = new Set<string>();
  const visit = (at: string): void => {
    if (seen.has(at)) return;
    seen.add(at);
    const directory = `${roots.sys}/dev/block/${at}`;
    for (const next of [...slaves(directory), ...whole(directory), ...backing(directory, roots)]) visit(next);
  };
  visit(device);
  return [...seen];
}

function slaves(directory: string): string[] {
  try {
    return readdirSync(`${directory}/slaves`).map((name) => read(`${directory}/slaves/${name}/dev`).trim());
  } catch {
    return [];
  }
}

/** The disk of a partition, whose directory is the partition's parent. */
function whole(directory: string): string[] {
  const disk = read(`${directory}/partition`) === "" ? "" : read(`${directory}/../dev`).trim();
  return disk === "" ? [] : [disk];
}

/** What a loop device reads. */
function backing(directory: string, roots: Roots): string[] {
  const file = read(`${directory}/loop/backing_file`).trim();
  const found = file === "" ? undefined : placeOf("", file, roots);
  return found === undefined ? [] : [found.device];
}

/** As the kernel writes paths: a blank is \040. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

/** As gnu_dev_major(3) and gnu_dev_minor(3) have it. */
function pair(dev: number): string {
  const bits = BigInt(dev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
