// Which processes of this node have lock files open: the one place that tells a lock that is held from one that is merely
// cached. Reads /proc alone; nothing here looks at the mount itself, where a look-up can wait for another node.

import { readFile, readdir, readlink } from "node:fs/promises";
import { resolve } from "node:path";

import { type Problem, errorCode } from "../../fs-dlm/inspect/problems";
import { processesOf } from "../../fs-dlm/inspect/processes";
import { ROOTS } from "../../fs-dlm/inspect/roots";

import type { OpenFile } from "./dump";

const AT_ONCE = 16;
const ACCESS_MODE = 0o3;

/** By lock name, as Latin-1. */
export type OpenFiles = ReadonlyMap<string, OpenFile[]>;

/** The mount points of ocfs2_dlmfs, as Latin-1. Source: proc(5), /proc/PID/mountinfo. */
export async function dlmfsMounts(): Promise<string[]> {
  const lines = (await readFile(`${ROOTS.proc}/self/mountinfo`, "latin1")).split("\n");
  const mounts = lines.flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    return after.startsWith("ocfs2_dlmfs ") ? [before.split(" ")[4] ?? ""] : [];
  });
  return [...new Set(mounts)].map((path) =>
    path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
  );
}

// The kernel tells paths without symbolic links, which cannot be looked up without touching the mount: what is reached by
// one is taken for any mount.
function selected(mounts: string[], mount: string | undefined): string[] {
  const path = mount === undefined ? "" : Buffer.from(resolve(mount)).toString("latin1");
  return mounts.includes(path) ? [path] : mounts;
}

/**
 * Who has lock files of a domain open; undefined, with a problem noted, when /proc does not tell. Processes that have
 * the mount in a mount namespace of their own are not seen, nor are descriptors that are on their way through a socket.
 *
 * @param mount looks at this mount point only, if it is one
 */
export async function openFilesOf(
  domain: string,
  mount: string | undefined,
  signal: AbortSignal | undefined,
  problems: Problem[],
): Promise<OpenFiles | undefined> {
  let pids: number[];
  let mounts: string[];
  try {
    mounts = selected(await dlmfsMounts(), mount);
    pids = (await readdir(ROOTS.proc)).map(Number).filter((pid) => pid > 0);
  } catch (error) {
    problems.push({ path: ROOTS.proc, code: errorCode(error), hint: "who has files open cannot be read there" });
    return undefined;
  }
  const directory = Buffer.from(domain).toString("latin1");
  const prefixes = mounts.map((path) => ({ path, prefix: `${path === "/" ? "" : path}/${directory}/` }));
  const found: { pid: number; fd: number; name: string; mount: string; mode: OpenFile["mode"] }[] = [];
  let hidden = 0;
  const look = async (pid: number): Promise<void> => {
    const descriptors = `${ROOTS.proc}/${pid}/fd`;
    const fds = await readdir(descriptors).catch((error: unknown) => {
      if (errorCode(error) === "EACCES") hidden++;
      return [];
    });
    for (const fd of fds) {
      signal?.throwIfAborted();
      const target = await readlink(`${descriptors}/${fd}`, "latin1").catch(() => "");
      const at = prefixes.find(({ prefix }) => target.startsWith(prefix));
      if (!at) continue;
      const mode = await modeOf(`${ROOTS.proc}/${pid}/fdinfo/${fd}`);
      if (mode) found.push({ pid, fd: Number(fd), name: target.slice(at.prefix.length), mount: at.path, mode });
    }
  };
  const work = async (): Promise<void> => {
    for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) await look(pid);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (hidden > 0) {
    const hint = `the open files of ${hidden} processes are not open to this user: run this as root`;
    problems.push({ path: ROOTS.proc, code: "EACCES", hint });
    return undefined;
  }
  const processes = await processesOf(found.map(({ pid }) => pid));
  const files = new Map<string, OpenFile[]>();
  for (const { name, mount: path, ...file } of found.sort((a, b) => a.pid - b.pid || a.fd - b.fd)) {
    const command = processes.get(file.pid)?.command ?? "";
    const list = files.get(name) ?? [];
    list.push({ ...file, command, mount: Buffer.from(path, "latin1").toString() });
    files.set(name, list);
  }
  return files;
}

// A descriptor of the directory, or one without access (O_PATH), holds nothing.
async function modeOf(fdinfo: string): Promise<OpenFile["mode"] | undefined> {
  const O_PATH = 0o10000000;
  const text = await readFile(fdinfo, "latin1").catch(() => "");
  const octal = /^flags:\s*([0-7]+)$/m.exec(text)?.[1];
  if (octal === undefined) return undefined;
  const flags = Number.parseInt(octal, 8);
  if ((flags & O_PATH) !== 0) return undefined;
  return (flags & ACCESS_MODE) === 0 ? "PR" : "EX";
}
