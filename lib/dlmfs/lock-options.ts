import type { DomainLock } from "./lock";

/** PR: shared by readers. EX: alone. ocfs2_dlmfs has no others. Source: fs/ocfs2/dlmfs/dlmfs.c, `dlmfs_decode_open_flags()`. */
export type DomainLockMode = "PR" | "EX";

/**
 * Called when the lock stands in the way of another node's request, at most once for each hold. `mode` is what the other
 * one asks for, as far as that is known: it can only be EX if this lock is PR; of an EX lock the kernel does not say. A
 * hint, not an order; whether the lock gives way is up to its holder.
 */
export type OnDomainBlocking = (mode: "EX" | undefined, lock: DomainLock) => void;

interface AnyDomainLockOptions {
  /** Default "EX". */
  mode?: DomainLockMode | undefined;
  /**
   * Asks to be told when another node wants the lock. A lock that listens keeps the process alive. Needs a kernel whose
   * ocfs2_dlmfs has the capability `bast` (2.6.35 and later have it).
   */
  onBlocking?: OnDomainBlocking | undefined;
  /**
   * The release drops the lock from the kernel too. Default false: the node keeps it cached until another node wants it,
   * which makes taking it again a matter of this node alone. A value block that no other node has a lock on is lost with
   * the drop.
   */
  uncached?: boolean | undefined;
  /** Permission bits of the lock's file if this call creates it. Default 0o664, as the process's umask gives. */
  fileMode?: number | undefined;
  /** Owner of the lock's file if this call creates it. */
  uid?: number | undefined;
  /** Group of the lock's file if this call creates it. */
  gid?: number | undefined;
}

export interface DomainLockOptions extends AnyDomainLockOptions {
  /**
   * Gives up waiting: the promise rejects with the signal's reason at once. A request that is in the kernel cannot be
   * taken back; it stays in line there, and its grant goes to the next one here who asks for the same, or is given back.
   */
  signal?: AbortSignal | undefined;
}

export interface DomainTryLockOptions extends AnyDomainLockOptions {
  /**
   * For how long to wait for nodes that merely have the lock cached to give it up, in milliseconds. Default 1000. Those of
   * this node are never waited for. It counts from the call on: less than some 50 ms may not be enough for a lock that is
   * free.
   */
  patience?: number | undefined;
  /**
   * Asks by the kernel's own non-blocking open, which sends no demand: a lock that another node has cached is busy for it
   * until that node drops it. Stack o2cb only: on fs/dlm a refused one hangs for ever.
   */
  raw?: boolean | undefined;
}

export interface ReopenOptions {
  /** Gives up waiting; the lock is then released. One that has fired before leaves the lock as it is. */
  signal?: AbortSignal | undefined;
}
