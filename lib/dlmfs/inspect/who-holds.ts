import { writeLatin1Name, writeResourceName } from "../../fs-dlm/inspect/resource-names";
import type { LockMode } from "../../modes";

import { type DomainDumpOptions, dumpOf } from "./domain-dump";
import type { DomainDump, DomainLockEntry, DomainResource, DomainStack, OpenFile, Problem } from "./dump";
import { checkLock } from "./names";
import { printName } from "./o2dlm/printed-names";

export interface DomainHolders {
  domain: string;
  /** The lock's name, as dumps write it. */
  lock: string;
  stack: DomainStack | undefined;
  /** The node that was asked. */
  node: number | undefined;
  /** The node that knows all holders; undefined when this one does not know it, or has nothing to do with the lock. */
  master: number | undefined;
  /** Whether these are all nodes' locks; otherwise they are this node's, and the master is to be asked. */
  complete: boolean;
  /** Locks granted as more than NL; undefined when they could not be read. */
  holders: DomainHolder[] | undefined;
  /** Locks that ask for more than they have, in the order of service: first those that have a mode, NL included. */
  waiting: DomainLockEntry[] | undefined;
  problems: Problem[];
}

export interface DomainHolder extends DomainLockEntry {
  mode: LockMode;
  /**
   * "held": a process of the dump's node has the file open. "cached": nobody there has; the lock will be given up as soon
   * as another node asks. "unknown": another node's lock, and only that node can tell; or /proc could not be read; or the
   * dump's node has two mounts' locks there.
   */
  use: "held" | "cached" | "unknown";
  /** Whose it is, when the use is "held". */
  openFiles: OpenFile[];
}

/**
 * Who holds a lock of a dump's domain, and who waits for it.
 *
 * @param lockName 1 to 31 bytes
 * @throws {TypeError | RangeError} a wrong name
 */
export function holdersOf(dump: DomainDump, lockName: string): DomainHolders {
  const lock = writeResourceName(Buffer.from(checkLock(lockName)));
  const { domain, stack, node, resources, problems } = dump;
  const found = findResource(dump, lockName);
  return {
    ...{ domain, lock, stack, node, problems },
    master: found?.master,
    complete: found !== undefined && found.mastered && !found.truncated,
    holders: resources && (found ? holdersIn(found, node) : []),
    waiting: resources && (found ? [...found.converting, ...found.waiting] : []),
  };
}

/**
 * As {@link holdersOf}, of this node's present dump. The kernel has no way to ask for one lock: this reads the domain's
 * dump, on o2cb up to the lock.
 *
 * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
 */
export async function whoHoldsDomainLock(
  name: string,
  lockName: string,
  options?: DomainDumpOptions,
): Promise<DomainHolders> {
  return holdersOf(await dumpOf(name, options, Buffer.from(checkLock(lockName)).toString("latin1")), lockName);
}

/** The resource of a lock; of those whose names the kernel cut, the first that is printed alike. */
export function findResource({ resources }: DomainDump, lockName: string): DomainResource | undefined {
  const bytes = Buffer.from(lockName);
  const name = writeResourceName(bytes);
  const printed = writeLatin1Name(printName(bytes.toString("latin1")));
  return resources?.find((one) => (one.nameComplete ? one.name === name : one.o2dlm?.printed === printed));
}

/** Locks granted as more than NL. */
export function holdersIn(resource: DomainResource, node: number | undefined): DomainHolder[] {
  const locks = [...resource.granted, ...resource.converting];
  const own = locks.filter((entry) => entry.node !== undefined && entry.node === node).length;
  return locks.flatMap((entry) => {
    const { mode } = entry;
    if (mode === undefined || mode === "NL") return [];
    const files = entry.node !== undefined && entry.node === node ? resource.openFiles : undefined;
    // which of two mounts' locks a file stands on the kernel does not tell
    const use = files === undefined || (files.length > 0 && own > 1) ? "unknown" : files.length > 0 ? "held" : "cached";
    return [{ ...entry, mode, use, openFiles: files ?? [] }];
  });
}
