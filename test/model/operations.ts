// The operations of the kernel's DLM on one node, which masters what it locks. Follows fs/dlm/lock.c, do_*().

import { type Tell, complete, decide, fits, grant, grantConversions, grantPending, notify } from "./granting";
import type { KernelLock, Resource } from "./queues";
import { IV } from "./tables";
import { invalidateAtDrop, writeAtUnlock } from "./value";

/** do_request() and its effects. */
export function request(resource: Resource, lock: KernelLock, tell: Tell): void {
  lock.ask(lock.request);
  if (decide(resource, lock, true) === "grant") {
    grant(resource, lock, tell);
  } else if (lock.request.noQueue) {
    complete(lock, "EAGAIN", tell);
    if (lock.request.noQueueBast) notifyAll(resource, lock, tell);
  } else {
    resource.add(lock, "waiting");
    notify(resource.granted, lock, tell);
  }
}

/** do_convert() and its effects; the lock's request is the conversion's. */
export function convert(resource: Resource, lock: KernelLock, tell: Tell): void {
  const verdict = decide(resource, lock, true);
  if (verdict === "grant") {
    grant(resource, lock, tell);
    grantPending(resource, tell);
    return;
  }
  if (verdict === "deadlock" && lock.request.deadlock !== "wait") {
    lock.requested = IV;
    complete(lock, "EDEADLK", tell);
    return;
  }
  if (lock.demoted) {
    grantConversions(resource, tell);
    if (fits(resource, lock, true)) {
      grant(resource, lock, tell);
      grantPending(resource, tell);
      return;
    }
  }
  if (lock.request.noQueue) {
    // the mode it asked for is left behind (do_convert() does not revert here)
    complete(lock, "EAGAIN", tell);
    if (lock.request.noQueueBast) notifyAll(resource, lock, tell);
    return;
  }
  resource.move(lock, "converting");
  notify(resource.granted, lock, tell);
}

function notifyAll(resource: Resource, lock: KernelLock, tell: Tell): void {
  notify(resource.granted, lock, tell);
  notify(resource.converting, lock, tell);
}

/** do_cancel() and its effects. A lock that waits for nothing is left alone, and nobody is told. */
export function cancel(resource: Resource, lock: KernelLock, tell: Tell): void {
  if (lock.queue === "converting") {
    lock.requested = IV;
    resource.move(lock, "granted");
  } else if (lock.queue === "waiting") {
    lock.requested = IV;
    resource.remove(lock);
  } else {
    return;
  }
  complete(lock, "ECANCEL", tell);
  grantPending(resource, tell);
}

/** do_unlock() and its effects. */
export function unlock(
  resource: Resource,
  lock: KernelLock,
  write: Uint8Array | "invalidate" | undefined,
  tell: Tell,
): void {
  if (write === "invalidate") invalidateAtDrop(resource, lock);
  else writeAtUnlock(resource, lock, write);
  resource.remove(lock);
  lock.granted = IV;
  complete(lock, "EUNLOCK", tell);
  grantPending(resource, tell);
}

/** What the kernel does with each lock of a handle that is closed with locks on it: unlock_proc_lock(). */
export function drop(resource: Resource, lock: KernelLock, tell: Tell): void {
  invalidateAtDrop(resource, lock);
  resource.remove(lock);
  lock.granted = IV;
  grantPending(resource, tell);
}
