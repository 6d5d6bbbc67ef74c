import { LockStateError } from "../../errors";

/** What values need of a lock; every `DomainLock` is one. */
export interface ValueLock {
  readonly name: string;
  readonly mode: "PR" | "EX";
  /** The 64 bytes. Rejects with a LockStateError ERR_LVB_INVALID when the kernel says that they are lost. */
  readLvb(): Promise<Uint8Array>;
  writeLvb(bytes: Uint8Array): Promise<void>;
  /** Has the release give the lock up altogether, instead of leaving it cached on this node. */
  dropOnRelease(): void;
  release(): Promise<void>;
}

/** What values need of a domain; every `Domain` is one. */
export interface ValueDomain<L extends ValueLock = ValueLock> {
  lock(name: string, options: { mode: "EX"; signal?: AbortSignal }): Promise<L>;
}

/** The value block as the kernel hands it out; undefined when it says that the value is lost. */
export async function readBlock(lock: ValueLock): Promise<Uint8Array | undefined> {
  try {
    return await lock.readLvb();
  } catch (error) {
    if (error instanceof LockStateError && error.code === "ERR_LVB_INVALID") return undefined;
    throw error;
  }
}
