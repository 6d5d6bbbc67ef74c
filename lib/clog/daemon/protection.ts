// What keeps the daemon from needing the mirror that it serves: a program that is not paged out, allocations that write nothing
// back to a disk (the disk may be the mirror, whose writes wait for this process), and no end by the OOM killer.

import { closeSync, openSync, writeSync } from "node:fs";

import { ClogError } from "../../errors";
import { native } from "../../native";

export interface ProtectionOptions {
  /** mlock(2) of the programs and libraries, and of the C library's heap; V8 ends the process when its own is locked. */
  readonly lockMemory?: boolean | undefined;
  /** prctl(PR_SET_IO_FLUSHER) for every thread, Linux 5.6. */
  readonly ioFlusher?: boolean | undefined;
  /** -1000 (never chosen by the OOM killer) to 1000. */
  readonly oomScoreAdj?: number | undefined;
}

/** Set in the environment of an image that runs as an I/O flusher. */
const FLUSHER = "CLUSTERLOCK_CLOGD_FLUSHER";

/**
 * Makes this process an I/O flusher. Node has started its threads long before any of this runs, and each keeps its own flag:
 * so this thread takes it, and starts the program anew in the same process (execve(2) keeps it), whose threads inherit it.
 * Returns in the new image only.
 */
export function becomeIoFlusher(env: NodeJS.ProcessEnv): void {
  const done = env[FLUSHER] === String(process.pid);
  Reflect.deleteProperty(env, FLUSHER);
  if (done) return;
  check(native().setIoFlusher(), "prctl(PR_SET_IO_FLUSHER)", "it needs Linux 5.6 and CAP_SYS_RESOURCE");
  const [node = process.execPath, script = "", ...args] = process.argv;
  const variables = Object.entries({ ...env, [FLUSHER]: String(process.pid) }).map(
    ([name, value]) => `${name}=${value}`,
  );
  check(native().execute(process.execPath, [node, ...process.execArgv, script, ...args], variables), "execve");
}

/** To be called when all that is to be locked has been loaded. */
export function protect(options: ProtectionOptions): void {
  // first: a process that has all its memory locked is a big one
  if (options.oomScoreAdj !== undefined) setOomScoreAdj(options.oomScoreAdj);
  if (options.lockMemory === true) {
    check(native().lockMemory(), "mlock", "it needs CAP_IPC_LOCK, or a high limit: LimitMEMLOCK=infinity");
  }
}

function setOomScoreAdj(value: number): void {
  const fd = openSync("/proc/self/oom_score_adj", "w");
  try {
    writeSync(fd, String(value));
  } catch (error) {
    const { errno = 0 } = error as NodeJS.ErrnoException;
    const hint = "less than it was needs CAP_SYS_RESOURCE";
    throw new ClogError({ errno, syscall: "write", path: "/proc/self/oom_score_adj", hint, cause: error });
  } finally {
    closeSync(fd);
  }
}

function check(errno: number, syscall: string, hint?: string): void {
  if (errno !== 0) throw new ClogError({ errno, syscall, hint });
}
