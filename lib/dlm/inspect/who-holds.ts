import { encodeResourceName, type ResourceName } from "../names";

import type { DumpedLock } from "../../fs-dlm/inspect/dump";
import { type LockDumpOptions, dumpOf } from "./lock-dump";
import type { Problem } from "../../fs-dlm/inspect/problems";
import { writeResourceName } from "../../fs-dlm/inspect/resource-names";

export interface Holders {
  lockspace: string;
  /** As dumps write it. */
  resource: string;
  /** The node that was asked. */
  node: number | undefined;
  /** The node that knows all holders; undefined when this one does not know it, or has no locks on the resource. */
  master: number | undefined;
  /** Whether these are all nodes' locks; otherwise they are this node's, and the master is to be asked. */
  complete: boolean;
  /** Those granted, with or without another mode asked for; undefined when they could not be read. */
  holders: DumpedLock[] | undefined;
  /** Those that wait for their first mode, in order. */
  waiting: DumpedLock[] | undefined;
  problems: Problem[];
}

/**
 * Who holds a resource and who waits for it, as this node knows it. The kernel has no way to ask for one resource: this
 * reads the lockspace's whole dump.
 *
 * @param resource 1 to 64 bytes, not ending in NUL; a string is taken as UTF-8
 * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
 */
export async function whoHolds(
  lockspace: string,
  resource: ResourceName,
  options?: Pick<LockDumpOptions, "processes" | "signal">,
): Promise<Holders> {
  const name = encodeResourceName(resource);
  const { processes, signal } = options ?? {};
  const dump = await dumpOf(lockspace, { processes, signal }, Buffer.from(name).toString("latin1"));
  const found = dump.resources?.[0];
  return {
    lockspace,
    resource: writeResourceName(name),
    node: dump.node,
    master: found?.master,
    complete: found?.mastered ?? false,
    holders: dump.resources && (found ? [...found.granted, ...found.converting] : []),
    waiting: dump.resources && (found ? [...found.waiting, ...found.lookup] : []),
    problems: dump.problems,
  };
}
