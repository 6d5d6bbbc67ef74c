// The value block of a resource. Follows fs/dlm/lock.c, set_lvb_lock() and set_lvb_unlock().

import type { KernelLock, Resource } from "./queues";
import { unlockWrites, valueDirection } from "./tables";

export const VALUE_SIZE = 32;

/** What a grant does with the value. The bytes are what the lock has read or written, if it has. */
export function exchangeValue(
  resource: Resource,
  lock: KernelLock,
): { bytes: Uint8Array | undefined; invalid: boolean } | undefined {
  const { takesPart, write, invalidate } = lock.request.value;
  if (invalidate) {
    resource.invalid = true;
    return { bytes: undefined, invalid: true };
  }
  if (!takesPart) return undefined;
  switch (valueDirection(lock.granted, lock.requested)) {
    case "read":
      // what no one has written is not flagged either, whatever flag the resource has
      return resource.value
        ? { bytes: resource.value, invalid: resource.invalid }
        : { bytes: new Uint8Array(VALUE_SIZE), invalid: false };
    case "write":
      if (!write) return undefined;
      resource.value = write;
      resource.invalid = false;
      return { bytes: write, invalid: false };
    case "none":
      return { bytes: undefined, invalid: resource.invalid };
  }
}

/** What an unlock writes. */
export function writeAtUnlock(resource: Resource, lock: KernelLock, write: Uint8Array | undefined): void {
  if (!write || !unlockWrites(lock.granted)) return;
  resource.value = write;
  resource.invalid = false;
}

/** The end of a process flags the value of what it held in PW or EX (IVVALBLK), whether it took part in it or not. */
export function invalidateAtDrop(resource: Resource, lock: KernelLock): void {
  if (unlockWrites(lock.granted)) resource.invalid = true;
}
