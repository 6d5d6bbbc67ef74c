// Where a thread sleeps. Everything here is answered by the kernel at once, however deep the thread sleeps: its command
// line is not read, since that takes a lock which it may hold.

import { readFile } from "node:fs/promises";

import { ROOTS } from "../../../fs-dlm/inspect/roots";

/** A thread as /proc/PID/task/TID shows it. */
export interface SleepingTask {
  pid: number;
  tid: number;
  /** proc(5)'s letter: D is a sleep that no signal ends. Undefined: the thread has ended. */
  state: string | undefined;
  /** The kernel's function it sleeps in; undefined when it does not sleep, or this user may not know. */
  wchan: string | undefined;
  /** The kernel's functions, innermost first; undefined unless root asks. */
  stack: string[] | undefined;
}

export async function taskOf(pid: number, tid: number): Promise<SleepingTask> {
  const read = (file: string): Promise<string | undefined> =>
    // what a lack of privilege hides, and what has ended, is an answer too
    readFile(`${ROOTS.proc}/${pid}/task/${tid}/${file}`, "latin1").catch(() => undefined);
  const [stat, wchan, stack] = await Promise.all([read("stat"), read("wchan"), read("stack")]);
  return {
    pid,
    tid,
    // the name before it may hold anything
    state: stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[0],
    wchan: wchan === undefined || wchan === "" || wchan === "0" ? undefined : wchan,
    stack: stack === undefined ? undefined : functionsOf(stack),
  };
}

function functionsOf(stack: string): string[] {
  return Array.from(stack.matchAll(/^\[<[0-9a-f]+>\] ([\w.]+)/gm), ([, name = ""]) => name);
}

/** What the thread waits for, by the function it sleeps in. */
export type SleepsIn = "lock" | "directory" | "node" | "elsewhere" | "unknown";

/**
 * "lock": in dlmfs, for a grant or for this node's own files to be closed. "directory": for an inode that an unlink, a
 * mkdir or an rmdir on the same mount keeps locked. "node": in the lock manager, for another node's answer.
 * Source: fs/ocfs2/dlmfs/userdlm.c, `user_wait_on_busy_lock()`, `user_wait_on_blocked_lock()`.
 */
export function sleepsIn(task: SleepingTask): SleepsIn {
  const frames = task.stack ?? (task.wchan === undefined ? undefined : [task.wchan]);
  const innermost = frames?.[0];
  if (!frames || innermost === undefined) return "unknown";
  if (/^user_(dlm_(cluster|destroy)_lock|wait_on_)/.test(innermost)) return "lock";
  if (frames.some((name) => /^(o2net_|dlm_|dlmlock|dlmconvert|__dlm_|ocfs2_dlm_)/.test(name))) return "node";
  // the kernel leaves the waits for a lock of its own out, so that it is the look-up which seems to sleep
  if (
    /^(path_openat|do_filp_open|open_last_lookups|lookup_|walk_component|link_path_walk|d_alloc_parallel|rwsem_|down_)/.test(
      innermost,
    )
  )
    return "directory";
  return "elsewhere";
}
