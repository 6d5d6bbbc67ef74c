import type { LockStateError } from "../errors";

export interface CreateOptions {
  /** Fail with EEXIST when this node has joined the lockspace already. Source: DLM_LSFL_NEWEXCL. */
  exclusive?: boolean | undefined;
  /**
   * Permission bits of the device that is created, such as 0o660: who on this node may take locks. Default: what the
   * system's udev rules say. They stay in force: `udevadm trigger` brings theirs back.
   */
  mode?: number | undefined;
}

export interface OpenOptions {
  /**
   * Join the lockspace (create it on this node) if this node has not: needs CAP_SYS_ADMIN and a running dlm_controld.
   * Default false: open the device of a lockspace that exists.
   */
  create?: boolean | CreateOptions | undefined;
  /** Gives up waiting. A join that the kernel has begun goes on without us; what it opens is closed. */
  signal?: AbortSignal | undefined;
}

export interface RemoveOptions {
  /**
   * Leave although orphaned locks of this node are left in it; they are gone then. Never in spite of open handles.
   * Source: DLM_USER_LSFLG_FORCEFREE.
   */
  force?: boolean | undefined;
}

export interface PurgeOptions {
  /** The node whose orphans go; default: this one. */
  nodeid?: number | undefined;
  /**
   * Only those of this owner, as lock dumps show it; default: all. The kernel's owner is the thread that wrote the
   * lock's last request, which for this library is none that you started.
   */
  pid?: number | undefined;
}

/**
 * - `stall`: the lockspace stands still: a member joined, left or died, or quorum or fencing is waited for. Requests wait,
 *   held locks stay held. Looked for four times a second while locks are held or asked for, or
 *   somebody listens.
 * - `resume`: it runs again, after about so many milliseconds.
 * - `members`: the node ids that are in it now, and those that joined and left. Only while somebody listens.
 * - `lost`: this node has lost the lockspace, and with it every lock of the handle: it was removed by force, dlm_controld
 *   died, or the device failed (`error.cause` is then what the kernel said). Each lock's `signal` has aborted.
 */
export interface LockspaceEvents {
  stall: [];
  resume: [info: { stalledMs: number }];
  members: [change: { members: readonly number[]; joined: readonly number[]; left: readonly number[] }];
  lost: [error: LockStateError];
}
