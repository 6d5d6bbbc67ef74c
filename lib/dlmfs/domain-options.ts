import type { LockStateError } from "../errors";

import type { Isolation } from "./opener";

/**
 * Who is kept apart from whom on this node, where the kernel takes all holders for one: "node": everybody who uses this
 * library; "handle": only the users of one Domain object; "none": nobody, as the kernel does it.
 */
export type Exclusion = "node" | "handle" | "none";

export interface OpenDomainOptions {
  /** Where ocfs2_dlmfs is mounted. Default "/dlm". Each mount is an owner of locks of its own. */
  mount?: string | undefined;
  /** Joins the domain if this node has not. Default false: ENOENT then. */
  create?: boolean | undefined;
  /** Permission bits of the domain's directory if it is created; write lets others create locks. Default 0o755. */
  mode?: number | undefined;
  /** Gives up waiting for the domain. A join that comes through after that is undone. */
  signal?: AbortSignal | undefined;
  /**
   * Where opens sleep. "process" (default): in a helper process, so that this one can always end. "thread": in threads of
   * this one, which then cannot end, not even by SIGKILL, before the kernel has granted what they wait for.
   */
  isolation?: Isolation | undefined;
  /** Default "node". */
  exclusion?: Exclusion | undefined;
  /**
   * The directory of the files by which processes of this node exclude each other; all of them have to agree on it.
   * Default "/run/lock/clusterlock".
   */
  runDirectory?: string | undefined;
  /**
   * On fs/dlm, joining fails with EBADR where dlm_controld has set a cluster name, because ocfs2_dlmfs has none to
   * compare. True: blank the name in configfs for the moment of the join. Needs root; a GFS2 or OCFS2 mount on this node
   * in that very moment would fail.
   */
  allowClusterNameWorkaround?: boolean | undefined;
  /**
   * Every user of the domain, on every node, asks for EX only. Default false: EX then goes through a gate, a second lock
   * that is taken for the moment of the request, since the kernel deadlocks for ever when two nodes go from PR to EX on one
   * lock at a time. Without the gate a lock goes from node to node in half the time; PR is refused.
   */
  exclusiveOnly?: boolean | undefined;
  /** Lets the name be the UUID of an OCFS2 volume, whose own locks live in the domain of that name. Default false. */
  volume?: boolean | undefined;
}

export interface DomainEvents {
  /** The cluster has gone away under the domain; every lock's signal has been aborted. Once at most. */
  lost: [error: LockStateError];
  /** The domain stands still: requests wait until it goes on. Stack fs/dlm only. */
  stall: [];
  resume: [info: { stalledMs: number }];
  close: [];
}

/** A request for a lock that is not granted yet. */
export interface PendingRequest {
  name: string;
  mode: "PR" | "EX";
  /** For how long it has waited, in milliseconds. */
  sinceMs: number;
  /**
   * "queued": for others in this handle; "local": for other processes of this node; "kernel": for the cluster, where it
   * cannot be taken back.
   */
  phase: "queued" | "local" | "kernel";
  /** Nobody waits for it any more. */
  abandoned: boolean;
}
