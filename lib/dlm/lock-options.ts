import type { LockMode } from "../modes";

import type { Lock } from "./lock";
import type { DeadlockAction } from "./request-flags";

/**
 * Called when this lock stands in the way of another request; `mode` is the mode the other one asks for. A hint, not
 * an order: the kernel merges notices, and one may arrive just after the lock has given way.
 */
export type OnBlocking = (mode: LockMode, lock: Lock) => void;

/** What requests of every kind can say. */
interface AnyRequest {
  /**
   * `true`: read the 32-byte value block into `lock.lvb`. Bytes (at most 32, padded with zeros): read it too, and write
   * these when the kernel next writes, which is on the way down from PW or EX (a conversion or the release). In a
   * conversion, `undefined` goes on as before, and `false` stops taking part. Source: DLM_LKF_VALBLK.
   */
  lvb?: boolean | Uint8Array | undefined;
  /**
   * The lock outlives its handle, be that closed or its process killed: the kernel keeps it as an orphan, which
   * {@link Lockspace.adopt} takes over and {@link Lockspace.purge} drops. Kept across conversions; `false` in a
   * conversion ends it. Source: DLM_LKF_PERSISTENT.
   */
  persistent?: boolean | undefined;
  /**
   * Granted as soon as no granted or converting lock conflicts, whoever else is in line. Source: DLM_LKF_NOORDER,
   * fs/dlm/lock.c, `_can_be_granted()`.
   */
  noOrder?: boolean | undefined;
}

interface NewRequest extends AnyRequest {
  /** Default "EX". */
  mode?: LockMode | undefined;
  /** Asks the kernel for blocking notices. Without it none are sent. A lock that listens keeps the process alive. */
  onBlocking?: OnBlocking | undefined;
  /**
   * The mode to be content with when `mode` cannot be granted at once, or when its turn comes; {@link Lock.mode} says
   * which it was, and {@link Lock.altMode}. Source: DLM_LKF_ALTPR, DLM_LKF_ALTCW.
   */
  altMode?: "PR" | "CW" | undefined;
  /**
   * A tag of 64 bits that debugfs shows on this node; never sent to another. Default: the process id, since the kernel
   * itself notes the id of a thread.
   */
  xid?: bigint | number | undefined;
  /** Accepted by the kernel and without effect in it: DLM_LKF_NODLCKBLK. */
  noDeadlockBlock?: boolean | undefined;
}

export interface LockOptions extends NewRequest {
  /**
   * Gives up waiting: the promise rejects with the signal's reason at once, the request is cancelled in the kernel, and
   * a grant that crosses the cancel is given back.
   */
  signal?: AbortSignal | undefined;
  /** Mode NL only: granted at once, past all who wait. Source: DLM_LKF_EXPEDITE. */
  expedite?: boolean | undefined;
  /** Waits at the head of the line. Source: DLM_LKF_HEADQUE. */
  headQueue?: boolean | undefined;
}

export interface TryLockOptions extends NewRequest {
  /** Those in the way get their blocking notice although this request does not wait. Source: DLM_LKF_NOQUEUEBAST. */
  notifyHolders?: boolean | undefined;
}

export interface AdoptOptions extends Pick<NewRequest, "mode" | "onBlocking" | "persistent" | "xid"> {
  /** Takes part from the next conversion on, as in {@link LockOptions}; the adoption itself reads nothing. */
  lvb?: boolean | Uint8Array | undefined;
}

interface AnyConversion extends AnyRequest {
  /** A new listener; `null` stops the notices; `undefined` keeps what was. */
  onBlocking?: OnBlocking | null | undefined;
  /**
   * On the way down from PW or EX: flags the value as not valid for everybody, instead of writing one. Source:
   * DLM_LKF_IVVALBLK.
   */
  invalidateLvb?: boolean | undefined;
  /**
   * Upwards only: takes its place behind conversions that wait already, even if it could be granted past them. Source:
   * DLM_LKF_QUECVT.
   */
  queue?: boolean | undefined;
}

export interface ConvertOptions extends AnyConversion {
  /** As in {@link Lockspace.lock}; the lock keeps its old mode. */
  signal?: AbortSignal | undefined;
  /** Waits at the head of the line of conversions. Source: DLM_LKF_HEADQUE. */
  headQueue?: boolean | undefined;
  /**
   * When this conversion and another wait for each other: "fail" with EDEADLK, with the old mode kept (the default);
   * "demote": give up the old mode to let the other one pass, told by {@link Lock.demoted} (DLM_LKF_CONVDEADLK); "wait":
   * stay in line until the other one gives way, of which the kernel does not notify it (DLM_LKF_NODLCKWT).
   */
  deadlock?: DeadlockAction | undefined;
}

export interface TryConvertOptions extends AnyConversion {
  /** As in {@link TryLockOptions}. */
  notifyHolders?: boolean | undefined;
}

export interface ReleaseOptions {
  /** Written by the release; the lock must be held in PW or EX. At most 32 bytes, padded with zeros. */
  lvb?: Uint8Array | undefined;
  /** Flags the value as not valid for everybody; the lock must be held in PW or EX. Source: DLM_LKF_IVVALBLK. */
  invalidateLvb?: boolean | undefined;
  /**
   * Does not wait for a conversion in flight, but ends it with the lock, in one request. A value that could only be kept
   * by another conversion first is flagged as not valid. Source: DLM_LKF_FORCEUNLOCK.
   */
  force?: boolean | undefined;
}
