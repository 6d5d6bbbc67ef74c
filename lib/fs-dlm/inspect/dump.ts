// What a dump of a lockspace's locks is made of. Plain data that JSON carries, so that nodes can send theirs to whoever
// wants to see the whole cluster.

import type { LockMode } from "../../modes";

import type { Problem } from "./problems";

/** A lockspace's locks as one node's kernel lists them. */
export interface LockDump {
  lockspace: string;
  /** The node that was asked; undefined when configfs does not tell. */
  node: number | undefined;
  /** The file of debugfs it is from: `NAME_all`, which has everything, or `NAME_locks`. */
  source: DumpSource;
  /**
   * The resources that this node has locks on, and those it masters for others. Not one instant: the kernel lists them
   * one by one while it works. Undefined when they could not be read.
   */
  resources: DumpedResource[] | undefined;
  /** Requests that wait for another node's answer rather than for a lock; undefined when they could not be read. */
  inFlight: InFlight[] | undefined;
  /** True: there are more in flight than the kernel lists. */
  inFlightTruncated: boolean;
  /** Resources without locks that this node remembers; undefined unless asked for. */
  inactive: InactiveResource[] | undefined;
  /** What could not be found out. */
  problems: Problem[];
}

export type DumpSource = "all" | "locks";

export interface DumpedResource {
  /** As {@link writeResourceName} writes it: `\xNN` for what is no text. */
  name: string;
  /** False, in dumps of source "locks": what follows a NUL in the name was not printed. */
  nameComplete: boolean;
  /** The node that grants its locks; undefined while that is being found out. */
  master: number | undefined;
  /** Whether that is the dump's node: only then are all nodes' locks in the queues, in the order of service. */
  mastered: boolean;
  granted: DumpedLock[];
  /** Granted locks that wait for another mode. */
  converting: DumpedLock[];
  waiting: DumpedLock[];
  /** Requests that wait until it is known who the master is. */
  lookup: DumpedLock[];
  /** The value block, on its master and in dumps of source "all"; undefined also when none was ever written. */
  lvb: DumpedValue | undefined;
  /** Part of a recovery under way. */
  recovering: boolean;
}

export interface DumpedValue {
  /** The bytes: 32 of them in lockspaces of user space, 64 in those of OCFS2. */
  hex: string;
  /** Raised by each write. */
  sequence: number;
  /** False: whoever reads it next is told that it cannot be trusted (RSB_VALNOTVALID). */
  valid: boolean;
}

export interface DumpedLock {
  /** The kernel's id of the lock on the dump's node. */
  lkid: number;
  /**
   * "local": the dump's node owns it and masters its resource. "process": it owns it, and the master has another copy.
   * "master": the master's copy of another node's lock.
   */
  copy: "local" | "process" | "master";
  /** The node of the process that asked for it; undefined when it is the dump's, and that is not known. */
  owner: number | undefined;
  /** The lock's id on its owner, which is what unlock and cancel there take. */
  ownerLkid: number;
  /** The lock's id on the master; undefined while there is none. */
  masterLkid: number | undefined;
  /** What is granted; undefined while the lock is only asked for. */
  mode: LockMode | undefined;
  /** What is waited for. */
  requested: LockMode | undefined;
  /**
   * Time in its present queue, in microseconds (the kernel calls the column `time_ms`): of a waiting lock since it was
   * queued, of a granted one since it was granted its mode. Undefined when it is in no queue.
   */
  queuedUs: number | undefined;
  /**
   * The thread, on the owner, that wrote the lock's last request or conversion (the kernel calls the column `pid`). The
   * lock does not end with the thread, and the kernel may since have given its number to another.
   */
  tid: number;
  /** That thread's process, if it is the dump's node's and lives. */
  process: DumpedProcess | undefined;
  /** The 64-bit tag that the owner gave, in decimal; "0" on the master of another node's lock, where it is not known. */
  xid: string;
  /** DLM_LKF_ bits of the last request. */
  exflags: number;
  /** The kernel's internal flags. */
  flags: number;
  /** Whether its owner is gone and left it behind. Undefined: kernels since 6.4 do not show it, masters are not told. */
  orphan: boolean | undefined;
  /** What a message to the master is under way for. */
  awaits: MessageType | undefined;
}

export interface DumpedProcess {
  /** Process id (thread group). */
  pid: number;
  /** The command line, blanks between arguments; `[name]` of a kernel thread. */
  command: string;
}

export interface InFlight {
  lkid: number;
  /** The resource's name, as far as the kernel prints it: up to a NUL. */
  resource: string;
  awaits: MessageType | undefined;
  /** The node whose answer is awaited; undefined while the directory is asked for the master. */
  node: number | undefined;
}

/** Requests among nodes, DLM_MSG_. Source: fs/dlm/dlm_internal.h. */
export type MessageType = "request" | "convert" | "unlock" | "cancel" | "lookup";

export interface InactiveResource {
  name: string;
  /** The node that mastered it last; undefined when this node was not told. */
  master: number | undefined;
  /** The node that keeps the directory's record of it. */
  directory: number;
}
