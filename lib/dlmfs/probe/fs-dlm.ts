import { clusterNameLock } from "../paths";

import type { Reader } from "./reading";
import { ROOTS } from "./roots";

/** fs/dlm and its controller, which the locks of all stacks but o2cb come from. Source: fs/dlm/config.c. */
export interface FsDlmStatus {
  /** dlm_controld answers queries in this network namespace: its socket is there. */
  controld: boolean;
  /** The name that dlm_controld has given the kernel; empty when it has none. Undefined: there is no cluster. */
  clusterName: string | undefined;
  /**
   * dlm_controld 4 and later set it: the kernel asks nobody else about recovery. Without it a domain needs a program that
   * holds /dev/ocfs2_control.
   */
  recoverCallbacks: boolean | undefined;
  /** The nodes that the kernel was told of, by id. */
  nodes: { id: number; local: boolean }[];
  /** Joining a domain gives EBADR: ocfs2_dlmfs asks for a cluster without a name, and this one has a name. */
  nameMismatch: boolean;
  /** A `Domain.open()` has blanked the name for a moment, and is at it right now. */
  nameInUse: boolean;
  /** The name as it was before a `Domain.open()` blanked it that never came to putting it back. */
  nameLeftBlank: string | undefined;
}

/** Undefined: fs/dlm is not loaded. */
export async function readFsDlm(reader: Reader, runDirectory: string): Promise<FsDlmStatus | undefined> {
  const directory = `${ROOTS.configfs}/dlm`;
  if (!(await reader.exists(directory))) return undefined;
  const [clusterName, recoverCallbacks, nodes, sockets] = await Promise.all([
    reader.text(`${directory}/cluster/cluster_name`),
    reader.flag(`${directory}/cluster/recover_callbacks`),
    readNodes(reader, `${directory}/cluster/comms`),
    reader.text(`${ROOTS.proc}/net/unix`),
  ]);
  const { saved, busy } = await readSavedName(reader, clusterNameLock(runDirectory));
  const blank = clusterName === "";
  return {
    // an abstract name, its zeros shown as @
    controld: /@dlmc_query_sock@*$/m.test(sockets ?? ""),
    clusterName,
    recoverCallbacks,
    nodes,
    nameMismatch: recoverCallbacks === true && clusterName !== undefined && !blank,
    nameInUse: busy,
    nameLeftBlank: blank && !busy ? saved : undefined,
  };
}

async function readNodes(reader: Reader, directory: string): Promise<FsDlmStatus["nodes"]> {
  const names = (await reader.directories(directory)) ?? [];
  const nodes = await Promise.all(
    names.map(async (name) => ({
      id: (await reader.number(`${directory}/${name}/nodeid`)) ?? 0,
      local: (await reader.flag(`${directory}/${name}/local`)) ?? false,
    })),
  );
  return nodes.filter(({ id }) => id > 0).sort((a, b) => a.id - b.id);
}

// Whoever has the name in this file safe holds a flock(2) on it for as long as that is meant to be.
async function readSavedName(reader: Reader, path: string): Promise<{ saved: string | undefined; busy: boolean }> {
  const identity = await reader.identity(path);
  if (identity === undefined) return { saved: undefined, busy: false };
  const [locks, saved] = await Promise.all([reader.text(`${ROOTS.proc}/locks`), reader.text(path)]);
  const busy = (locks ?? "")
    .split("\n")
    .some((line) => /^\d+: FLOCK /.test(line) && line.split(/\s+/).includes(identity));
  return { saved: saved === "" ? undefined : saved, busy };
}
