// What a dump of a domain's locks is made of: one shape for both stacks. Plain data that JSON carries, so that nodes can
// send theirs to whoever wants to see the whole cluster.

import type { ChangeWait } from "../../fs-dlm/inspect/controld/layout";
import type { DumpedProcess, InFlight, MessageType } from "../../fs-dlm/inspect/dump";
import type { Problem } from "../../fs-dlm/inspect/problems";
import type { LockMode } from "../../modes";

import type { O2dlmState } from "./o2dlm/dlm-state";

export type { ChangeWait, DumpedProcess, InFlight, MessageType, Problem };

/** The lock manager under the mount: o2dlm, or fs/dlm. */
export type DomainStack = "o2cb" | "fs/dlm";

/** A domain's locks as one node's kernel lists them. */
export interface DomainDump {
  domain: string;
  /** Undefined: neither lock manager of this node knows the domain, or debugfs cannot be read. */
  stack: DomainStack | undefined;
  /** The node that was asked; undefined when that could not be told. */
  node: number | undefined;
  /** The nodes in the domain, ascending; undefined when they could not be read. */
  members: number[] | undefined;
  /**
   * The resources that this node has locks on, and those it masters for others. Not one instant: the kernel lists them
   * one by one while it works. Undefined when they could not be read.
   */
  resources: DomainResource[] | undefined;
  /** Whether locks of a dead node are being taken over, or the domain stands still; undefined: not to be told. */
  recovery: DomainRecovery | undefined;
  /** On o2cb what o2dlm says of the domain; undefined also when it could not be read. */
  o2dlm: O2dlmState | undefined;
  /** On fs/dlm the requests that wait for another node's answer rather than for a lock. */
  inFlight: InFlight[] | undefined;
  /** What could not be found out. */
  problems: Problem[];
}

export interface DomainRecovery {
  active: boolean;
  /** On o2cb the node whose locks are being taken over. */
  deadNode: number | undefined;
  /** On o2cb the node that leads it. */
  master: number | undefined;
  /** On fs/dlm what dlm_controld waits for before the domain can go on; undefined for nothing, or when it does not say. */
  waitsFor: ChangeWait | undefined;
}

export interface DomainResource {
  /** The lock's name, written as dumps of lockspaces write it: `\xNN` for what is no text. */
  name: string;
  /** False: the kernel did not print all of the name. On o2cb it cuts those that begin with N after 17 bytes. */
  nameComplete: boolean;
  /** The node that grants its locks; undefined while that is being found out. */
  master: number | undefined;
  /** Whether that is the dump's node: only then are all nodes' locks in the queues, in the order of service. */
  mastered: boolean;
  granted: DomainLockEntry[];
  /** Granted locks that wait for another mode. In dlmfs most waits are here: a lock stays as NL once it was used. */
  converting: DomainLockEntry[];
  waiting: DomainLockEntry[];
  /**
   * The value block as the master has it: what a holder of EX has written comes here only when it gives EX up.
   * Undefined elsewhere than on the master.
   */
  lvb: DomainValue | undefined;
  /** Its locks are being taken over from a dead node, and nothing is granted. */
  recovering: boolean;
  /** There are more locks in the queues than the kernel printed. */
  truncated: boolean;
  /** Who of this node has its file open; undefined when that was not asked for, or could not be read. */
  openFiles: OpenFile[] | undefined;
  /** On o2cb what else it tells. */
  o2dlm: O2dlmResource | undefined;
}

export interface DomainValue {
  /** 64 bytes. */
  hex: string;
  /** Raised by each write, on fs/dlm. */
  sequence: number | undefined;
  /** False: whoever takes the lock next reads nothing. Undefined on o2cb, which zeroes a value that it lost. */
  valid: boolean | undefined;
}

export interface DomainLockEntry {
  /** Tells a node's locks apart: on o2cb the cookie `NODE:SEQUENCE`, on fs/dlm the lock's id on its owner. */
  id: string;
  /** Whose lock it is. Two locks of one node are two mounts (o2cb). */
  node: number | undefined;
  /** What is granted; undefined while the lock is only asked for. */
  mode: LockMode | undefined;
  /** What is waited for. */
  requested: LockMode | undefined;
  /** What a message to the master is under way for. */
  awaits: MessageType | undefined;
  /** In its present queue, in microseconds; undefined on o2cb, which does not tell. */
  queuedUs: number | undefined;
  /** On o2cb what else it tells. */
  o2dlm: O2dlmLock | undefined;
}

/** A process of this node that has a lock's file open. */
export interface OpenFile extends DumpedProcess {
  fd: number;
  /** What the open asked for. */
  mode: "PR" | "EX";
  /** The mount it is open through. */
  mount: string;
}

/** A state of a resource, DLM_LOCK_RES_. Source: fs/ocfs2/dlm/dlmcommon.h. */
export type O2dlmResourceState =
  | "uninited"
  | "recovering"
  | "ready"
  | "dirty"
  | "in-progress"
  | "migrating"
  | "dropping-ref"
  | "block-dirty"
  | "setref-inprog"
  | "recovery-waiting";

export interface O2dlmResource {
  /** The name as the kernel printed it; differs from `name` where that begins with N. */
  printed: string;
  /** Empty while it is in order and idle. */
  states: O2dlmResourceState[];
  /** On the master: other nodes that refer to it. A node that caches NL is among them. */
  referencedBy: number[];
  /** Without locks, and to be forgotten. */
  purging: boolean;
  /** Its queues are about to be looked at. */
  dirty: boolean;
  /** It is being moved to another master. */
  migrationPending: boolean;
  /** Requests of this node that have no lock in a queue yet. */
  inflightLocks: number;
  astsReserved: number;
  references: number;
}

export interface O2dlmLock {
  /** A grant (AST) or a call to give way (BAST) is queued for sending, or being delivered. */
  astQueued: boolean;
  bastQueued: boolean;
  astPending: boolean;
  bastPending: boolean;
  references: number;
}
