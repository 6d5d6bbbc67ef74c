import type { DumpedLock, DumpedResource, LockDump } from "../../fs-dlm/inspect/dump";

export interface Orphans {
  /**
   * Whether the kernel tells: those since 6.4 show of no lock whether it is an orphan. False also when a dump shows no
   * lock of user space to tell it by.
   */
  known: boolean;
  /** Persistent locks that their owner left behind on the dump's node. */
  locks: { resource: DumpedResource; lock: DumpedLock }[];
}

/** The orphaned locks of a dump: they last until they are adopted or purged. */
export function orphansOf(dump: LockDump): Orphans {
  const own = (dump.resources ?? []).flatMap((resource) =>
    [...resource.granted, ...resource.converting, ...resource.waiting].map((lock) => ({ resource, lock })),
  );
  return {
    known: own.some(({ lock }) => lock.orphan !== undefined),
    locks: own.filter(({ lock }) => lock.orphan === true && lock.copy !== "master"),
  };
}
