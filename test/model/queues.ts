import { IV } from "./tables";

/** What an operation does with the value block: `write` has the bytes, if the kernel is to be given any. */
export interface ValueUse {
  readonly takesPart: boolean;
  readonly write?: Uint8Array | undefined;
  /** Flags the value instead of writing one (IVVALBLK). */
  readonly invalidate?: boolean | undefined;
}

/** One request or conversion, with what it asks besides its mode; each is a DLM_LKF_* flag. */
export interface Request {
  readonly mode: number;
  readonly value: ValueUse;
  readonly listens: boolean;
  readonly noQueue?: boolean | undefined;
  readonly noQueueBast?: boolean | undefined;
  readonly queueConvert?: boolean | undefined;
  readonly headQueue?: boolean | undefined;
  readonly noOrder?: boolean | undefined;
  readonly expedite?: boolean | undefined;
  readonly altMode?: "PR" | "CW" | undefined;
  /** Default: fail. `wait` is NODLCKWT, `demote` is CONVDEADLK. */
  readonly deadlock?: "fail" | "wait" | "demote" | undefined;
}

export type QueueName = "granted" | "converting" | "waiting";

/** One lock as the kernel sees it: an lkb. */
export class KernelLock {
  readonly resource: Resource;
  /** Which open device it belongs to, and goes with. */
  readonly owner: number;
  /** Known once the kernel has shown it. */
  id: number | undefined;
  granted: number = IV;
  requested: number = IV;
  queue: QueueName | undefined;
  request: Request;
  /** The highest mode that it was told of since its last grant (lkb_highbast). */
  told = 0;
  demoted = false;
  altered = false;

  constructor(resource: Resource, owner: number, request: Request) {
    this.resource = resource;
    this.owner = owner;
    this.request = request;
  }

  /** Takes over a request's arguments: validate_lock_args(). */
  ask(request: Request): void {
    this.request = request;
    this.requested = request.mode;
    this.demoted = false;
    this.altered = false;
  }
}

/** One resource as the kernel sees it: an rsb. */
export class Resource {
  readonly name: string;
  readonly granted: KernelLock[] = [];
  readonly converting: KernelLock[] = [];
  readonly waiting: KernelLock[] = [];
  /** Undefined while none was written since the first lock came. */
  value: Uint8Array | undefined;
  invalid = false;

  constructor(name: string) {
    this.name = name;
  }

  get empty(): boolean {
    return this.granted.length + this.converting.length + this.waiting.length === 0;
  }

  /** All locks, in the order of the kernel's dumps. */
  get locks(): KernelLock[] {
    return [...this.granted, ...this.converting, ...this.waiting];
  }

  add(lock: KernelLock, queue: QueueName): void {
    lock.queue = queue;
    const list = this[queue];
    if (queue === "granted") {
      // lkb_add_ordered() compares with the modes that granted locks ask for, which is IV unless a conversion that did
      // not queue has failed: mostly the newest comes first, whatever its mode.
      const before = list.findIndex((other) => other.requested < lock.granted);
      list.splice(before === -1 ? list.length : before, 0, lock);
    } else if (lock.request.headQueue) {
      list.unshift(lock);
    } else {
      list.push(lock);
    }
  }

  remove(lock: KernelLock): void {
    if (lock.queue === undefined) return;
    const list = this[lock.queue];
    list.splice(list.indexOf(lock), 1);
    lock.queue = undefined;
    // The value goes with the last lock; the flag stays with what the kernel keeps of the resource (toss_rsb()).
    if (this.empty) this.value = undefined;
  }

  move(lock: KernelLock, queue: QueueName): void {
    const { value } = this;
    this.remove(lock);
    this.value = value;
    this.add(lock, queue);
  }
}
