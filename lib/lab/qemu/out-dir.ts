// CLUSTERLOCK_OUT: the host directory that every node can write.

import { mkdir, mkdtemp, realpath, rmdir, stat } from "node:fs/promises";
import path from "node:path";

import { LabError, LabOptionError, messageOf } from "../errors";
import { tempRoot } from "../paths";

export interface OutDir {
  readonly path: string;
  /** Made for this lab; it goes again unless something is in it. */
  readonly fresh: boolean;
}

export async function openOut(log: string | undefined): Promise<OutDir> {
  const found = log === undefined ? undefined : await stat(log).catch(() => undefined);
  if (found?.isDirectory() === false) throw new LabOptionError(`log: ${log ?? ""} is not a directory`);
  try {
    if (log === undefined) return { path: await mkdtemp(path.join(tempRoot(), "clusterlock-out-")), fresh: true };
    await mkdir(log, { recursive: true });
    return { path: await realpath(log), fresh: false };
  } catch (error) {
    throw new LabError(`cannot make the directory for results: ${messageOf(error)}`);
  }
}

export async function leaveOut(out: OutDir): Promise<void> {
  // one with results stays
  if (out.fresh) await rmdir(out.path).catch(() => undefined);
}
