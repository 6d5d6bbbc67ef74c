import type { DomainRecovery, DomainStack, OpenFile, Problem } from "../dump";

import type { WaitBlocker } from "./blockers";
import type { SleepingTask } from "./task";

/**
 * What a request waits for.
 *
 * - "queued": for its turn in this process. "local": for another process of this node; `openFiles` are those that have
 *   the lock open.
 * - "locks": for the `blockers`.
 * - "master": it is in the queue of a node whose dump was not given, and which alone knows whom it waits for.
 * - "answer": for another node's answer to a message.
 * - "recovery": until a dead node's locks have been taken over, or, on fs/dlm, the lockspace goes on.
 * - "own-files": another node has asked for this node's lock; nobody here gets it before `openFiles` are closed.
 * - "directory": for an unlink, mkdir or rmdir on the same mount that keeps its directory locked.
 * - "unlisted": the kernel lists no such request. It was granted this moment; or, if that lasts, was lost by the kernel.
 * - "lost": for nothing that will come: this node has left the cluster.
 * - "unknown": what would tell could not be read; see `problems`.
 */
export type WaitCause =
  | "queued"
  | "local"
  | "locks"
  | "master"
  | "answer"
  | "recovery"
  | "own-files"
  | "directory"
  | "unlisted"
  | "lost"
  | "unknown";

export interface WaitExplanation {
  domain: string;
  /** The lock's name, as dumps write it. */
  lock: string;
  mode: "PR" | "EX";
  waitedMs: number;
  cause: WaitCause;
  stack: DomainStack | undefined;
  /** This node. */
  node: number | undefined;
  /** The node that grants the lock. */
  master: number | undefined;
  blockers: WaitBlocker[];
  /** False: there may be more blockers than these. */
  complete: boolean;
  /** Who of this node has the lock open; undefined when /proc does not tell. */
  openFiles: OpenFile[] | undefined;
  recovery: DomainRecovery | undefined;
  /** The thread that sleeps in the open; undefined unless the opener was given. */
  task: SleepingTask | undefined;
  /** All of it in one sentence, in plain English. */
  sentence: string;
  problems: Problem[];
}
