// What the kernel's columns mean.

import { LOCK_MODES, type LockMode } from "../../modes";

import type { DumpedLock, DumpedResource, InFlight, InactiveResource, MessageType } from "./dump";
import type { RawLock, RawResource } from "./formats/raw";
import type { RawInactive } from "./formats/toss";
import type { RawWaiter } from "./formats/waiters";
import { writeLatin1Name } from "./resource-names";

// fs/dlm/dlm_internal.h. USER and ORPHAN are printed by kernels up to 6.3 only: later ones print the internal flags alone.
const FLAG_USER = 0x1;
const FLAG_ORPHAN = 0x2;
const FLAG_MASTER_COPY = 0x10000;
const RESOURCE_VALUE_NOT_VALID = 0x2;

const QUEUES = [undefined, "waiting", "granted", "converting"] as const;
const MESSAGES = new Map<number, MessageType>([
  [1, "request"],
  [2, "convert"],
  [3, "unlock"],
  [4, "cancel"],
  [11, "lookup"],
]);

const mode = (number: number): LockMode | undefined => LOCK_MODES[number];

export function assembleResource(raw: RawResource, node: number | undefined): DumpedResource {
  const mastered = raw.nodeId === 0;
  const resource: DumpedResource = {
    name: writeLatin1Name(raw.name),
    nameComplete: raw.nameComplete,
    master: mastered ? node : raw.nodeId > 0 ? raw.nodeId : undefined,
    mastered,
    granted: [],
    converting: [],
    waiting: [],
    lookup: [],
    // elsewhere it is what was left of a time as master
    lvb: mastered && raw.lvb ? { ...raw.lvb, valid: ((raw.flags ?? 0) & RESOURCE_VALUE_NOT_VALID) === 0 } : undefined,
    recovering: raw.recovering,
  };
  for (const lock of raw.locks) {
    const queue = lock.lookup ? "lookup" : QUEUES[lock.status];
    // a lock in no queue is being granted or released at this moment
    if (queue) resource[queue].push(assembleLock(lock, queue, raw, node));
  }
  return resource;
}

function assembleLock(raw: RawLock, queue: string, resource: RawResource, node: number | undefined): DumpedLock {
  const anothers = (raw.flags & FLAG_MASTER_COPY) !== 0;
  const copy = anothers ? "master" : resource.nodeId === 0 ? "local" : "process";
  const remote = raw.remoteLkid === 0 ? undefined : raw.remoteLkid;
  return {
    lkid: raw.lkid,
    copy,
    owner: anothers ? raw.nodeId : node,
    ownerLkid: anothers ? raw.remoteLkid : raw.lkid,
    masterLkid: copy === "process" ? remote : raw.lkid,
    mode: mode(raw.granted),
    // a conversion that was refused leaves its mode behind in granted locks
    requested: queue === "granted" ? undefined : mode(raw.requested),
    queuedUs: raw.queuedUs,
    tid: raw.tid,
    process: undefined,
    xid: raw.xid,
    exflags: raw.exflags,
    flags: raw.flags,
    orphan: orphan(raw.flags, anothers),
    awaits: MESSAGES.get(raw.waitType),
  };
}

function orphan(flags: number, anothers: boolean): boolean | undefined {
  if ((flags & FLAG_ORPHAN) !== 0) return true;
  // where a lock of user space is shown as such, so is an orphan
  return (flags & FLAG_USER) !== 0 && !anothers ? false : undefined;
}

export function assembleInFlight(raw: RawWaiter): InFlight {
  return {
    lkid: raw.lkid,
    resource: writeLatin1Name(raw.name),
    awaits: MESSAGES.get(raw.waitType),
    node: raw.nodeId > 0 ? raw.nodeId : undefined,
  };
}

export function assembleInactive(raw: RawInactive): InactiveResource {
  const { masterNodeId, directoryNodeId } = raw;
  return {
    name: writeLatin1Name(raw.name),
    master: masterNodeId > 0 ? masterNodeId : undefined,
    directory: directoryNodeId,
  };
}
