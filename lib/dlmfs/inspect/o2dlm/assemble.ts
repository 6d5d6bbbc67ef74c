// What o2dlm's columns mean.

import { writeLatin1Name } from "../../../fs-dlm/inspect/resource-names";
import { LOCK_MODES } from "../../../modes";
import type { DomainLockEntry, DomainResource, MessageType, O2dlmResourceState } from "../dump";

import type { RawO2Lock, RawO2Resource } from "./locking-state";
import { readPrinted } from "./printed-names";

/** DLM_LOCK_RES_OWNER_UNKNOWN. */
const UNKNOWN = 255;
const RECOVERING = 0x2;

// fs/ocfs2/dlm/dlmcommon.h
const STATES: readonly (readonly [bit: number, state: O2dlmResourceState])[] = [
  [0x1, "uninited"],
  [RECOVERING, "recovering"],
  [0x4, "ready"],
  [0x8, "dirty"],
  [0x10, "in-progress"],
  [0x20, "migrating"],
  [0x40, "dropping-ref"],
  [0x1000, "block-dirty"],
  [0x2000, "setref-inprog"],
  [0x4000, "recovery-waiting"],
];

/** @param node the dump's, undefined when it is not known */
export function assembleO2dlm(raw: RawO2Resource, node: number | undefined): DomainResource {
  const { name, complete } = readPrinted(raw.printed);
  const master = raw.owner === UNKNOWN ? undefined : raw.owner;
  const mastered = master !== undefined && master === node;
  const resource: DomainResource = {
    name: writeLatin1Name(name),
    nameComplete: complete,
    master,
    mastered,
    granted: [],
    converting: [],
    waiting: [],
    // elsewhere nobody keeps it up
    lvb: mastered ? { hex: raw.lvb, sequence: undefined, valid: undefined } : undefined,
    recovering: (raw.state & RECOVERING) !== 0,
    truncated: raw.truncated,
    openFiles: undefined,
    o2dlm: {
      printed: writeLatin1Name(raw.printed),
      states: STATES.filter(([bit]) => (raw.state & bit) !== 0).map(([, state]) => state),
      referencedBy: raw.referencedBy,
      purging: raw.purging,
      dirty: raw.dirty,
      migrationPending: raw.migrationPending,
      inflightLocks: raw.inflightLocks,
      astsReserved: raw.astsReserved,
      references: raw.references,
    },
  };
  for (const lock of raw.locks) resource[lock.queue === "blocked" ? "waiting" : lock.queue].push(entry(lock));
  return resource;
}

function entry(lock: RawO2Lock): DomainLockEntry {
  const { astQueued, bastQueued, astPending, bastPending, references } = lock;
  const blocked = lock.queue === "blocked";
  return {
    id: lock.cookie,
    node: lock.node,
    mode: blocked ? undefined : LOCK_MODES[lock.type],
    requested: blocked ? LOCK_MODES[lock.type] : lock.queue === "converting" ? LOCK_MODES[lock.convertType] : undefined,
    awaits: awaited(lock),
    queuedUs: undefined,
    o2dlm: { astQueued, bastQueued, astPending, bastPending, references },
  };
}

function awaited(lock: RawO2Lock): MessageType | undefined {
  if (lock.cancelPending) return "cancel";
  if (lock.unlockPending) return "unlock";
  if (lock.convertPending) return "convert";
  return lock.lockPending ? "request" : undefined;
}
