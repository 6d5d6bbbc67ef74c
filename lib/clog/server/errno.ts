import { constants } from "node:os";

const { EAGAIN, EIO, ESRCH } = constants.errno;

/**
 * The positive errno that tells the kernel of `error`. Two have a meaning of their own there, which a log does not mean:
 * ESRCH (no server; make the log anew) and EAGAIN (ask again at once).
 */
export function errnoOf(error: unknown): number {
  const errno = typeof error === "object" && error !== null && "errno" in error ? error.errno : undefined;
  const known = typeof errno === "number" && Number.isInteger(errno) && errno < 0 && errno > -4096;
  return !known || errno === -ESRCH || errno === -EAGAIN ? EIO : -errno;
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
