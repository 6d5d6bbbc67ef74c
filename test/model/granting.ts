// Who is granted, and who is told that it stands in the way. Follows fs/dlm/lock.c function by function.

import type { KernelLock, Resource } from "./queues";
import { CW, EX, IV, PR, compatible, modeNumber } from "./tables";
import { exchangeValue } from "./value";

export type Status = "granted" | "EAGAIN" | "EDEADLK" | "ECANCEL" | "EUNLOCK";

/** What the owner of a lock comes to hear. */
export type KernelEvent =
  | {
      readonly kind: "completion";
      readonly lock: KernelLock;
      readonly status: Status;
      /** The mode that is granted now. */
      readonly mode: number;
      readonly demoted: boolean;
      readonly altered: boolean;
      /** For a grant that takes part in the value block. */
      readonly value?: { readonly bytes: Uint8Array | undefined; readonly invalid: boolean } | undefined;
    }
  | { readonly kind: "notice"; readonly lock: KernelLock; readonly mode: number };

export type Tell = (event: KernelEvent) => void;

/** queue_cast() for what is no grant. */
export function complete(lock: KernelLock, status: Status, tell: Tell): void {
  const { granted, demoted, altered } = lock;
  tell({ kind: "completion", lock, status, mode: granted, demoted, altered });
}

/** grant_lock() and queue_cast(). */
export function grant(resource: Resource, lock: KernelLock, tell: Tell): void {
  const value = exchangeValue(resource, lock);
  if (lock.granted !== lock.requested) {
    lock.granted = lock.requested;
    if (lock.queue) resource.move(lock, "granted");
    else resource.add(lock, "granted");
  }
  lock.requested = IV;
  lock.told = 0;
  const { granted, demoted, altered } = lock;
  tell({ kind: "completion", lock, status: "granted", mode: granted, demoted, altered, value });
}

function conflicts(queue: readonly KernelLock[], lock: KernelLock): boolean {
  return queue.some((other) => other !== lock && !compatible(other.granted, lock.requested));
}

/** _can_be_granted(). `now`: in the request's own call, not from a queue. */
export function fits(resource: Resource, lock: KernelLock, now: boolean): boolean {
  const { request } = lock;
  const converts = lock.granted !== IV;
  if (request.expedite) return true;
  if (conflicts(resource.granted, lock) || conflicts(resource.converting, lock)) return false;
  if (now && converts) return !request.queueConvert || resource.converting.length === 0;
  if (request.noOrder) return true;
  if (converts) return resource.converting[0] === lock;
  if (resource.converting.length > 0) return false;
  return now ? resource.waiting.length === 0 : resource.waiting[0] === lock;
}

/** conversion_deadlock_detect() */
export function deadlocks(resource: Resource, lock: KernelLock): boolean {
  let ahead = false;
  for (const other of resource.converting) {
    if (other === lock) ahead = true;
    else if (compatible(lock.granted, other.requested)) continue;
    else if (!ahead || !compatible(other.granted, lock.requested)) return true;
  }
  return false;
}

/** can_be_granted(): may demote the lock, or change the mode that it asks for. */
export function decide(resource: Resource, lock: KernelLock, now: boolean): "grant" | "wait" | "deadlock" {
  if (fits(resource, lock, now)) return "grant";
  const { request } = lock;
  if (lock.granted !== IV && !request.noQueue && deadlocks(resource, lock)) {
    if (request.deadlock !== "demote") return "deadlock";
    lock.granted = 0;
    lock.demoted = true;
    return "wait";
  }
  if (request.altMode === undefined) return "wait";
  const asked = lock.requested;
  const instead = modeNumber(request.altMode);
  if (asked === instead) return "wait";
  lock.requested = instead;
  if (fits(resource, lock, now)) {
    lock.altered = true;
    return "grant";
  }
  lock.requested = asked;
  return "wait";
}

interface Blocked {
  /** The highest mode that is asked for in vain. */
  high: number;
  /** CW is among them: no number says that it, too, is blocked by PR. */
  cw: boolean;
}

/** grant_pending_convert() */
export function grantConversions(resource: Resource, tell: Tell): Blocked {
  let mayRestartForDemotion = true;
  const cws = { cw: false };
  for (;;) {
    let high = IV;
    let granted = false;
    let demoted = false;
    for (const lock of [...resource.converting]) {
      const was = lock.demoted;
      const verdict = decide(resource, lock, false);
      if (verdict === "grant") {
        grant(resource, lock, tell);
        granted = true;
      } else if (!was && lock.demoted) {
        demoted = true;
      } else if (verdict === "deadlock") {
        if (lock.request.deadlock === "wait" && lock.told < lock.requested) {
          tell({ kind: "notice", lock, mode: lock.requested });
          lock.told = lock.requested;
        }
      } else {
        high = Math.max(high, lock.requested);
        if (lock.requested === CW) cws.cw = true;
      }
    }
    if (granted) continue;
    if (demoted && mayRestartForDemotion) {
      mayRestartForDemotion = false;
      continue;
    }
    return { high, cw: cws.cw };
  }
}

/** grant_pending_wait() */
function grantWaiting(resource: Resource, blocked: Blocked, tell: Tell): void {
  for (const lock of [...resource.waiting]) {
    if (decide(resource, lock, false) === "grant") {
      grant(resource, lock, tell);
    } else {
      blocked.high = Math.max(blocked.high, lock.requested);
      if (lock.requested === CW) blocked.cw = true;
    }
  }
}

/** grant_pending_locks() */
export function grantPending(resource: Resource, tell: Tell): void {
  const blocked = grantConversions(resource, tell);
  grantWaiting(resource, blocked, tell);
  const { high, cw } = blocked;
  if (high === IV) return;
  for (const lock of resource.granted) {
    const due = lock.granted === PR && cw ? lock.told < EX : lock.told < high && !compatible(lock.granted, high);
    if (!due) continue;
    tell({ kind: "notice", lock, mode: cw && high === PR && lock.granted === PR ? CW : high });
    lock.told = high;
  }
}

/** send_bast_queue() */
export function notify(queue: readonly KernelLock[], asking: KernelLock, tell: Tell): void {
  for (const lock of queue) {
    if (lock === asking) continue;
    const crossed =
      (lock.granted === PR && asking.requested === CW) || (lock.granted === CW && asking.requested === PR);
    const due = crossed ? lock.told < EX : lock.told < asking.requested && !compatible(lock.granted, asking.requested);
    if (!due) continue;
    tell({ kind: "notice", lock, mode: asking.requested });
    lock.told = asking.requested;
  }
}
