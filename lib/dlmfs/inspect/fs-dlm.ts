// A domain on fs/dlm is a lockspace of its name, with value blocks of 64 bytes. Source: fs/ocfs2/stack_user.c.

import type { DumpedLock, DumpedResource } from "../../fs-dlm/inspect/dump";
import { listLockspaces } from "../../fs-dlm/inspect/lockspaces";
import type { Problem } from "../../fs-dlm/inspect/problems";
import { readDump } from "../../fs-dlm/inspect/read-dump";

import type { DomainDump, DomainLockEntry, DomainResource } from "./dump";

type Stacked = Pick<DomainDump, "node" | "members" | "resources" | "recovery" | "o2dlm" | "inFlight">;

/** How long dlm_controld may take to say what it waits for, in milliseconds. */
const CONTROLD_TIMEOUT_MS = 1000;

/** @param wanted the only resource to keep, as Latin-1 */
export async function readFsDlm(
  domain: string,
  wanted: string | undefined,
  signal: AbortSignal | undefined,
  problems: Problem[],
): Promise<Stacked> {
  const [dump, list] = await Promise.all([
    readDump(domain, { source: "all", inactive: false, wanted, signal }),
    listLockspaces({ timeout: CONTROLD_TIMEOUT_MS }),
  ]);
  const lockspace = list.lockspaces?.find(({ name }) => name === domain);
  problems.push(...dump.problems, ...list.problems);
  return {
    node: dump.node,
    members: lockspace?.members?.map(({ node }) => node),
    resources: dump.resources?.map(resourceOf),
    recovery: lockspace?.state && {
      active: lockspace.state !== "running",
      deadNode: undefined,
      master: undefined,
      waitsFor: lockspace.controld?.nextChange?.waitsFor,
    },
    o2dlm: undefined,
    inFlight: dump.inFlight,
  };
}

export function resourceOf(resource: DumpedResource): DomainResource {
  const { name, nameComplete, master, mastered, lvb, recovering } = resource;
  return {
    ...{ name, nameComplete, master, mastered, recovering },
    granted: resource.granted.map(entry),
    converting: resource.converting.map(entry),
    waiting: [...resource.waiting, ...resource.lookup].map(entry),
    lvb,
    truncated: false,
    openFiles: undefined,
    o2dlm: undefined,
  };
}

function entry(lock: DumpedLock): DomainLockEntry {
  const { owner, mode, requested, awaits, queuedUs } = lock;
  return { id: lock.ownerLkid.toString(16), node: owner, mode, requested, awaits, queuedUs, o2dlm: undefined };
}
