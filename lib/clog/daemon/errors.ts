/**
 * The daemon cannot start, or cannot be asked; the message is for the person who asked. `code` is
 * - `ERR_CLOGD_RUNNING`: another daemon serves this machine;
 * - `ERR_CLOGD_ABSENT`: no daemon answers;
 * - `ERR_CLOGD_PERMISSION`: root can do it;
 * - `ERR_CLOGD_REFUSED`: this machine is not in a state for it;
 * - `ERR_CLOGD_SYSTEM`: the system did not do its part.
 */
export class DaemonError extends Error {
  readonly code: DaemonErrorCode;

  constructor(code: DaemonErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type DaemonErrorCode =
  "ERR_CLOGD_RUNNING" | "ERR_CLOGD_ABSENT" | "ERR_CLOGD_PERMISSION" | "ERR_CLOGD_REFUSED" | "ERR_CLOGD_SYSTEM";

const CODES: Readonly<Record<string, DaemonErrorCode>> = {
  EADDRINUSE: "ERR_CLOGD_RUNNING",
  EPERM: "ERR_CLOGD_PERMISSION",
  EACCES: "ERR_CLOGD_PERMISSION",
  // the kernel has no connector, or this is not its network namespace
  EPROTONOSUPPORT: "ERR_CLOGD_REFUSED",
  ESOCKTNOSUPPORT: "ERR_CLOGD_REFUSED",
  EAFNOSUPPORT: "ERR_CLOGD_REFUSED",
  ECONNREFUSED: "ERR_CLOGD_REFUSED",
  ENOTSUP: "ERR_CLOGD_REFUSED",
  EOPNOTSUPP: "ERR_CLOGD_REFUSED",
};

/** What a system call's failure, one of Node's or a ClogError, is to who started the daemon. Anything else stays. */
export function explained(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof DaemonError || !("syscall" in error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new DaemonError(CODES[code ?? ""] ?? "ERR_CLOGD_SYSTEM", error.message, { cause: error });
}
