import { checkObject, checkSignal } from "../../checks";
import { invalidType, invalidValue } from "../../errors";
import type { DumpSource, DumpedResource, LockDump } from "../../fs-dlm/inspect/dump";
import { processesOf } from "../../fs-dlm/inspect/processes";
import { readDump } from "../../fs-dlm/inspect/read-dump";
import { checkLockspaceName } from "../names";

export interface LockDumpOptions {
  /**
   * Default "all". "locks" costs the kernel less, but has no value blocks, no requests that look for a master, and only
   * the beginning of names with a NUL in them.
   */
  source?: DumpSource | undefined;
  /** Also lists the resources without locks that this node remembers. Default false. */
  inactive?: boolean | undefined;
  /** Looks up the processes of this node's locks in /proc. Default true. */
  processes?: boolean | undefined;
  /** Gives up reading. */
  signal?: AbortSignal | undefined;
}

/**
 * The locks of a lockspace as this node's kernel lists them: its own, and those of other nodes on resources that it
 * masters. Reads debugfs, which is root's, and in libuv's threads; writes nothing, ever.
 *
 * @returns what could be read; `problems` says what could not, and why. `resources` is undefined if that is the locks.
 * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
 */
export async function lockDump(lockspace: string, options?: LockDumpOptions): Promise<LockDump> {
  return dumpOf(lockspace, options);
}

/** @param wanted the only resource to keep, as Latin-1 */
export async function dumpOf(name: string, options: LockDumpOptions | undefined, wanted?: string): Promise<LockDump> {
  const lockspace = checkLockspaceName(name);
  const { source, inactive, processes, signal } = check(options);
  signal?.throwIfAborted();
  const dump = await readDump(lockspace, { source, inactive, wanted, signal });
  if (processes && dump.resources) await addProcesses(dump.resources);
  return dump;
}

interface Checked {
  source: DumpSource;
  inactive: boolean;
  processes: boolean;
  signal: AbortSignal | undefined;
}

function check(options: unknown): Checked {
  const { source = "all", inactive = false, processes = true, signal } = checkObject(options);
  if (source !== "all" && source !== "locks") throw invalidValue("options.source", 'must be "all" or "locks"');
  if (typeof inactive !== "boolean") throw invalidType("options.inactive", "a boolean", inactive);
  if (typeof processes !== "boolean") throw invalidType("options.processes", "a boolean", processes);
  return { source, inactive, processes, signal: checkSignal(signal) };
}

function* ownLocks(resource: DumpedResource): Generator<DumpedResource["granted"][number], void, undefined> {
  for (const queue of [resource.granted, resource.converting, resource.waiting, resource.lookup]) {
    for (const lock of queue) if (lock.copy !== "master") yield lock;
  }
}

async function addProcesses(resources: readonly DumpedResource[]): Promise<void> {
  const tids = new Set<number>();
  for (const resource of resources) for (const lock of ownLocks(resource)) tids.add(lock.tid);
  const found = await processesOf(tids);
  for (const resource of resources) for (const lock of ownLocks(resource)) lock.process = found.get(lock.tid);
}
