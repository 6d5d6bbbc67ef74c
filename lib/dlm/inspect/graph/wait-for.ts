// Who waits for whom, over the whole cluster. Each node's dump is a view: the master's has a resource's queues, and the
// owners' tell whose processes the locks are.

import { type LockMode, compatible } from "../../../modes";

import type { DumpedLock, DumpedResource, LockDump } from "../../../fs-dlm/inspect/dump";
import type { Problem } from "../../../fs-dlm/inspect/problems";

/** Whoever holds and waits: a process of a node. */
export interface LockOwner {
  /** Tells owners apart; for output and as a key. */
  id: string;
  /** Undefined: a dump that did not know its own node. */
  node: number | undefined;
  /** Undefined: its node's dump is missing, or the thread that asked has ended; then `tid` tells it apart. */
  pid: number | undefined;
  /** The thread of the lock that it was first seen with. */
  tid: number;
  command: string | undefined;
}

/** A lock of the graph, by what its owner's node calls it. */
export interface GraphLock {
  lockspace: string;
  /** As dumps write it. */
  resource: string;
  /** Id of a {@link LockOwner}. */
  owner: string;
  /** The owner's node, and the lock's id there. */
  node: number | undefined;
  lkid: number;
  mode: LockMode | undefined;
  requested: LockMode | undefined;
  /** In its present queue, in microseconds, by the master's clock if its dump was given. */
  queuedUs: number | undefined;
}

/**
 * Why a lock has to wait for another. "held": what that one is granted is not compatible. "ahead": it asked earlier, and
 * is served first.
 */
export interface Blocker extends GraphLock {
  reason: "held" | "ahead";
}

export interface Wait extends GraphLock {
  queue: "converting" | "waiting";
  /** Whom it waits for: all of them. Of a long line ahead the nearest 64 are here, who wait for the others. */
  blockers: Blocker[];
  /** False: the master's dump is missing, there may be more blockers. */
  complete: boolean;
}

export interface WaitForGraph {
  owners: LockOwner[];
  waits: Wait[];
  /** Dumps without locks, and resources whose master's dump is missing. */
  problems: Problem[];
}

const NOORDER = 0x2000;

// A line of thousands would otherwise make millions of pairs.
const LINE_SHOWN = 64;

interface View {
  resource: DumpedResource;
  dump: LockDump;
  /** Its place among the dumps: tells the nodes of dumps apart that do not know theirs. */
  index: number;
}

interface Resource {
  lockspace: string;
  name: string;
  views: View[];
}

/**
 * Who waits for whom, by the kernel's rules of compatibility and of order. Give it the dumps of all members, taken as
 * much at one time as you can: a lock that was granted between two dumps can show up as a wait that is over.
 * Source: fs/dlm/lock.c, `_can_be_granted()`.
 */
export function waitForGraph(dumps: readonly LockDump[]): WaitForGraph {
  const problems: Problem[] = [];
  const owners = new Map<string, LockOwner>();
  const waits: Wait[] = [];
  for (const resource of contended(dumps, problems)) {
    const master = resource.views.find(({ resource: view }) => view.mastered);
    if (!master) problems.push(masterMissing(resource));
    const queues = master ? [master] : resource.views;
    waits.push(...new Queues(resource, queues, master !== undefined, owners).waits());
  }
  return { owners: [...owners.values()], waits, problems };
}

function masterMissing({ lockspace, name, views }: Resource): Problem {
  const node = views.find(({ resource }) => resource.master !== undefined)?.resource.master;
  const hint = `only some of those who hold or want '${name}' are known: give the dump of its master, node ${node ?? "?"}`;
  return { path: lockspace, code: "ERR_MASTER_UNKNOWN", hint };
}

// Of most lockspaces' resources few are waited for: only they are looked at.
function contended(dumps: readonly LockDump[], problems: Problem[]): Resource[] {
  const found = new Map<string, Resource>();
  const key = (dump: LockDump, { name, nameComplete }: DumpedResource): string =>
    `${dump.lockspace}/${nameComplete ? "" : "\0"}${name}`;
  for (const dump of dumps) {
    if (!dump.resources) problems.push(...dump.problems);
    for (const resource of dump.resources ?? []) {
      if (resource.converting.length + resource.waiting.length === 0) continue;
      found.set(key(dump, resource), { lockspace: dump.lockspace, name: resource.name, views: [] });
    }
  }
  for (const [index, dump] of dumps.entries()) {
    for (const resource of dump.resources ?? []) {
      found.get(key(dump, resource))?.views.push({ resource, dump, index });
    }
  }
  return [...found.values()];
}

interface Shown {
  lock: DumpedLock;
  shown: GraphLock;
}

class Queues {
  readonly #holders: Shown[];
  /** Those who wait, in the order of service. */
  readonly #line: (Shown & { queue: Wait["queue"] })[];
  readonly #complete: boolean;

  constructor(resource: Resource, views: readonly View[], complete: boolean, owners: Map<string, LockOwner>) {
    this.#complete = complete;
    const own = ownCopies(resource);
    const shown = (name: "granted" | "converting" | "waiting"): Shown[] =>
      views.flatMap((view) =>
        view.resource[name].map((lock) => ({ lock, shown: graphLock(lock, view, resource, own, owners) })),
      );
    const converting = shown("converting");
    this.#holders = [...shown("granted"), ...converting];
    this.#line = [
      ...converting.map((each) => ({ ...each, queue: "converting" as const })),
      ...shown("waiting").map((each) => ({ ...each, queue: "waiting" as const })),
    ];
  }

  waits(): Wait[] {
    return this.#line.map(({ lock, shown, queue }, at) => ({
      ...shown,
      queue,
      blockers: [...this.#holding(lock), ...this.#ahead(lock, at)],
      complete: this.#complete,
    }));
  }

  // What is granted, to converting locks too, and lets the requested mode not in.
  #holding(lock: DumpedLock): Blocker[] {
    const found: Blocker[] = [];
    for (const other of this.#holders) {
      if (other.lock !== lock && conflicts(other.lock, lock)) found.push({ ...other.shown, reason: "held" });
    }
    return found;
  }

  // Conversions go before requests, and each queue is served in order; without the master's dump that is not known.
  #ahead(lock: DumpedLock, at: number): Blocker[] {
    if (!this.#complete || (lock.exflags & NOORDER) !== 0) return [];
    return this.#line
      .slice(Math.max(0, at - LINE_SHOWN), at)
      .filter((other) => !conflicts(other.lock, lock))
      .map(({ shown }) => ({ ...shown, reason: "ahead" }));
  }
}

const copyKey = (node: number | undefined, lkid: number): string => `${node}/${lkid}`;

/** The owners' own copies of a resource's locks, by their node and lkid. */
function ownCopies({ views }: Resource): Map<string, DumpedLock> {
  const found = new Map<string, DumpedLock>();
  for (const { dump, resource } of views) {
    for (const lock of [...resource.granted, ...resource.converting, ...resource.waiting]) {
      if (lock.copy !== "master") found.set(copyKey(dump.node, lock.lkid), lock);
    }
  }
  return found;
}

function conflicts(holder: DumpedLock, { requested }: DumpedLock): boolean {
  return holder.mode !== undefined && requested !== undefined && !compatible(holder.mode, requested);
}

function graphLock(
  lock: DumpedLock,
  view: View,
  { lockspace, name }: Resource,
  own: ReadonlyMap<string, DumpedLock>,
  owners: Map<string, LockOwner>,
): GraphLock {
  // the master knows the owner's thread; only the owner's own node knows whose thread that is
  const copy = lock.copy === "master" ? (own.get(copyKey(lock.owner, lock.ownerLkid)) ?? lock) : lock;
  const owner = ownerOf(copy, lock.owner, view.index);
  if (!owners.has(owner.id)) owners.set(owner.id, owner);
  return {
    lockspace,
    resource: name,
    owner: owner.id,
    node: lock.owner,
    lkid: lock.ownerLkid,
    mode: lock.mode,
    requested: lock.requested,
    queuedUs: lock.queuedUs,
  };
}

function ownerOf({ process, tid }: DumpedLock, node: number | undefined, index: number): LockOwner {
  const place = node === undefined ? `dump ${index}` : `node ${node}`;
  const id = process ? `${place} pid ${process.pid}` : `${place} tid ${tid}`;
  return { id, node, pid: process?.pid, tid, command: process?.command };
}
