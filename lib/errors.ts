import { getSystemErrorMap } from "node:util";

/** What went wrong with a system call, in the words of Node's own system errors. */
export interface DlmErrorDetails {
  /** Negative errno. */
  errno: number;
  /**
   * `open`, `read`, `fchmod`, `dlm_lock`, `dlm_convert`, `dlm_unlock`, `dlm_adopt`, `dlm_purge`, `dlm_create_lockspace` or
   * `dlm_remove_lockspace`.
   */
  syscall: string;
  lockspace?: string | undefined;
  resource?: string | undefined;
  /** The kernel's id of the lock. */
  lkid?: number | undefined;
  /** The device it happened on. */
  path?: string | undefined;
  /** Process ids that have the lockspace open. */
  holders?: readonly number[] | undefined;
  /** What to do about it. */
  hint?: string | undefined;
}

// Linux numbers that the DLM or a block device uses and libuv has no name for.
const NOT_IN_LIBUV: ReadonlyMap<number, readonly [code: string, text: string]> = new Map([
  [15, ["ENOTBLK", "block device required"]],
  [35, ["EDEADLK", "resource deadlock avoided"]],
  [37, ["ENOLCK", "no locks available"]],
  [49, ["EUNATCH", "protocol driver not attached"]],
  [52, ["EBADE", "invalid exchange"]],
  [53, ["EBADR", "invalid request descriptor"]],
  [71, ["EPROTO", "protocol error"]],
  [85, ["ERESTART", "interrupted system call should be restarted"]],
  // the kernel's own number, which ocfs2_dlmfs lets through
  [512, ["ERESTARTSYS", "interrupted system call should be restarted"]],
  [0x10001, ["DLM_ECANCEL", "request cancelled"]],
  [0x10002, ["DLM_EUNLOCK", "lock released"]],
]);

function describe(errno: number): readonly [code: string, text: string] {
  return getSystemErrorMap().get(errno) ?? NOT_IN_LIBUV.get(-errno) ?? [`E${-errno}`, "unknown system error"];
}

// What the rooms' errors have in common. A subject that is undefined is no property.
class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  protected constructor(
    { errno, syscall, hint, cause }: { errno: number; syscall: string; hint?: string | undefined; cause?: unknown },
    about: string | undefined,
    subject: object,
  ) {
    const [code, text] = describe(errno);
    super(
      `${code}: ${text}, ${syscall}${about === undefined ? "" : ` '${about}'`}${hint ? ` (${hint})` : ""}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    for (const [name, value] of Object.entries(subject)) {
      if (value !== undefined) Object.defineProperty(this, name, { value, enumerable: true });
    }
  }
}

/**
 * The kernel refused. Shaped like Node's own system errors: `code` is the errno's name ("EDEADLK"), `errno` its
 * negative number, `syscall` what was asked for.
 */
export class DlmError extends SystemCallError {
  declare readonly lockspace?: string;
  declare readonly resource?: string;
  declare readonly lkid?: number;
  declare readonly path?: string;
  declare readonly holders?: readonly number[];

  constructor({ lockspace, resource, lkid, path, holders, ...call }: DlmErrorDetails) {
    super(call, resource ?? path ?? lockspace, { lockspace, resource, lkid, path, holders });
  }
}

/** What went wrong with a system call on an ocfs2_dlmfs mount. */
export interface DlmfsErrorDetails {
  /** Negative errno. */
  errno: number;
  /** `open`, `read`, `write`, `poll`, `mkdir`, `rmdir`, `unlink`, `mknod`, `chown`, `chmod`, `stat`, `fcntl` and so on. */
  syscall: string;
  /** What it was done to. */
  path?: string | undefined;
  domain?: string | undefined;
  /** The lock's name. */
  lock?: string | undefined;
  /** What to do about it. */
  hint?: string | undefined;
  cause?: unknown;
}

/** The kernel refused something on an ocfs2_dlmfs mount. Shaped like {@link DlmError} and Node's own system errors. */
export class DlmfsError extends SystemCallError {
  declare readonly path?: string;
  declare readonly domain?: string;
  declare readonly lock?: string;

  constructor({ path, domain, lock, ...call }: DlmfsErrorDetails) {
    super(call, path ?? lock ?? domain, { path, domain, lock });
  }
}

/** What went wrong with a system call of the cluster log. */
export interface ClogErrorDetails {
  /** Negative errno. */
  errno: number;
  /** `socket`, `bind`, `setsockopt`, `open`, `read`, `write`, `fsync`, `ioctl` and so on. */
  syscall: string;
  /** The device or file it was done to. */
  path?: string | undefined;
  /** The log's. */
  uuid?: string | undefined;
  /** What to do about it. */
  hint?: string | undefined;
  cause?: unknown;
}

/** The kernel refused something of the cluster log. Shaped like {@link DlmError} and Node's own system errors. */
export class ClogError extends SystemCallError {
  declare readonly path?: string;
  declare readonly uuid?: string;

  constructor({ path, uuid, ...call }: ClogErrorDetails) {
    super(call, path ?? uuid, { path, uuid });
  }
}

/** The name of an errno, such as "EDEADLK". */
export function errnoName(errno: number): string {
  return describe(errno)[0];
}

/** A hold or handle was used after its end, or has lost what it stood for. `code` says which. */
export class LockStateError extends Error {
  readonly code:
    | "ERR_LOCK_RELEASED"
    | "ERR_LOCKSPACE_CLOSED"
    | "ERR_LOCKSPACE_LOST"
    | "ERR_DOMAIN_CLOSED"
    | "ERR_DOMAIN_LOST"
    | "ERR_LVB_INVALID"
    | "ERR_LVB_LOST"
    | "ERR_LVB_UNREAD"
    | "ERR_OPENER_LOST";

  constructor(code: LockStateError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A TypeError with Node's code for a value of the wrong type. */
export function invalidType(name: string, expected: string, actual: unknown): TypeError {
  const shown = actual === null ? "null" : typeof actual;
  return Object.assign(new TypeError(`The "${name}" argument must be ${expected}. Received ${shown}`), {
    code: "ERR_INVALID_ARG_TYPE",
  });
}

/** A RangeError with Node's code for a value that cannot be. */
export function invalidValue(name: string, problem: string): RangeError {
  return Object.assign(new RangeError(`The "${name}" argument ${problem}`), { code: "ERR_INVALID_ARG_VALUE" });
}
