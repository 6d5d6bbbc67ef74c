import { DlmError, LockStateError, invalidType } from "../errors";
import { type LockMode, modeNumber } from "../modes";
import { native } from "../native";

import { onAbort } from "./aborts";
import { Channel, type Completion, OP } from "./channel";
import { LKF } from "./flags";
import { lockspaceError } from "./hints";
import { Lkb } from "./lkb";
import { Lock, type OnBlocking } from "./lock";
import { type ResourceName, checkLockspaceName, encodeResourceName } from "./names";
import { type CheckedOptions, checkMode, checkObject, checkOptions, checkSignal } from "./options";
import { ValueBlock } from "./value";

export interface OpenOptions {
  /**
   * Join the lockspace (create it on this node) if this node has not: needs CAP_SYS_ADMIN and a running dlm_controld.
   * Default false: open the device of a lockspace that exists.
   */
  create?: boolean | undefined;
  /** Gives up waiting. A join that the kernel has begun goes on without us; what it opens is closed. */
  signal?: AbortSignal | undefined;
}

export interface TryLockOptions {
  /** Default "EX". */
  mode?: LockMode | undefined;
  /**
   * `true`: read the 32-byte value block into `lock.lvb`. Bytes (at most 32, padded with zeros): read it too, and write
   * these when the kernel next writes, which is on the way down from PW or EX (a conversion or the release).
   */
  lvb?: boolean | Uint8Array | undefined;
  /** Asks the kernel for blocking notices. Without it none are sent. A lock that listens keeps the process alive. */
  onBlocking?: OnBlocking | undefined;
}

export interface LockOptions extends TryLockOptions {
  /**
   * Gives up waiting: the promise rejects with the signal's reason at once, the request is cancelled in the kernel, and
   * a grant that crosses the cancel is given back.
   */
  signal?: AbortSignal | undefined;
}

const EAGAIN = -11;

interface Request {
  mode: LockMode;
  bytes: Uint8Array;
  resource: string;
  noQueue: boolean;
  options: CheckedOptions<OnBlocking>;
}

/**
 * A handle on a lockspace of the kernel's DLM. The handle owns its locks: the kernel drops them all when it is closed,
 * be it by `close()`, the end of the worker or process, or SIGKILL. Worker threads each open their own.
 *
 * Nothing here blocks the event loop. While the lockspace is in recovery (a node joined, left or died) requests wait
 * in the kernel; so do `close()` and, because the kernel drops locks on a process's way out, the exit of the process.
 * Source: fs/dlm/user.c, fs/dlm/lock.c (`dlm_lock_recovery()`).
 */
export class Lockspace implements AsyncDisposable {
  readonly #name: string;
  readonly #channel: Channel;
  readonly #locks = new Set<Lock>();
  readonly #waiting = new Set<(reason: unknown) => void>();
  // Requests whose locks the kernel may still grant, including those that were given up.
  readonly #unsettled = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor(name: string, channel: Channel) {
    this.#name = name;
    this.#channel = channel;
  }

  /**
   * Opens a lockspace on this node.
   *
   * @param name 1 to 64 bytes without '/', '!', spaces or control characters
   * @throws {DlmError} ENOENT (module not loaded, not joined), EACCES, EPERM, ENOTCONN (no dlm_controld), EUNATCH
   *   (dlm_controld died), EBADE (another version of the kernel's interface), …; the message says what mends it
   * @throws {TypeError | RangeError} a wrong name or option
   */
  static async open(name: string, options?: OpenOptions): Promise<Lockspace> {
    checkLockspaceName(name);
    const { create = false, signal: givenSignal } = checkObject(options);
    if (typeof create !== "boolean") throw invalidType("options.create", "a boolean", create);
    const signal = checkSignal(givenSignal);
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const stopWaiting = onAbort(signal, () => {
        reject(signal?.reason as Error);
      });
      native().openLockspace(name, create, (...[failure, opened]) => {
        stopWaiting();
        if (!opened) {
          reject(lockspaceError(name, failure));
          return;
        }
        try {
          const channel = new Channel(opened);
          if (signal?.aborted) void channel.close();
          else resolve(new Lockspace(name, channel));
        } catch (error) {
          opened.close();
          reject(error);
        }
      });
    });
  }

  /**
   * Leaves the lockspace on this node: gives back one creation, and the last one leaves. Other nodes stay.
   * Refuses while any process of this node has it open, since the kernel would otherwise sleep, unkillable, until all
   * have closed it, and no other lockspace could be created or removed on this node meanwhile. Locks of other nodes
   * are no hindrance: the resources that this node masters get another master.
   *
   * @throws {DlmError} EBUSY (`holders` has the process ids; none: orphaned locks), ENOENT, EPERM
   */
  static async remove(name: string): Promise<void> {
    checkLockspaceName(name);
    return new Promise((resolve, reject) => {
      native().removeLockspace(name, (failure) => {
        if (failure) reject(lockspaceError(name, failure));
        else resolve();
      });
    });
  }

  get name(): string {
    return this.#name;
  }

  /** True once `close()` was called. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** How many locks this handle holds. */
  get held(): number {
    return this.#locks.size;
  }

  /** How many requests the kernel still has to answer, given-up ones included. */
  get pending(): number {
    return this.#unsettled.size;
  }

  /**
   * Requests a lock and waits until the kernel grants it. Locks know nothing of processes: a second lock of the same
   * process on the same resource conflicts like a stranger's.
   *
   * @param resource 1 to 64 bytes, not ending in NUL; a string is taken as UTF-8
   * @throws {DlmError} what the kernel refused, with its errno
   * @throws {LockStateError} ERR_LOCKSPACE_CLOSED
   * @throws {TypeError | RangeError} a wrong name, mode or option
   */
  async lock(resource: ResourceName, options?: LockOptions): Promise<Lock> {
    const request = this.#check(resource, options, false);
    return (await this.#request(request)) as Lock;
  }

  /**
   * As {@link lock}, but resolves to null instead of waiting. Asks the resource's master node, so null is the
   * cluster's answer, not a guess. Holders get no blocking notice. Source: DLM_LKF_NOQUEUE.
   */
  async tryLock(resource: ResourceName, options?: TryLockOptions): Promise<Lock | null> {
    return this.#request(this.#check(resource, options, true));
  }

  /**
   * Gives up waiting requests (they reject with ERR_LOCKSPACE_CLOSED), releases every lock as `release()` does, and
   * closes the handle. Safe to call more than once. The node stays a member of the lockspace; see {@link remove}.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Lets pending requests and listening locks keep the process alive again: the default. */
  ref(): this {
    this.#channel.setRef(true);
    return this;
  }

  /** Lets the process end although requests are pending or locks listen for blocking notices. */
  unref(): this {
    this.#channel.setRef(false);
    return this;
  }

  #check(resource: unknown, options: unknown, noQueue: boolean): Request {
    const bytes = encodeResourceName(resource);
    const { mode = "EX" } = checkObject(options);
    const checked = checkOptions<OnBlocking>(options);
    if (this.#closing) throw this.#closedError();
    return {
      mode: checkMode(mode, "options.mode"),
      bytes,
      resource: typeof resource === "string" ? resource : Buffer.from(bytes).toString(),
      noQueue,
      options: noQueue ? { ...checked, signal: undefined } : checked,
    };
  }

  async #request(request: Request): Promise<Lock | null> {
    const { mode, bytes, noQueue, options } = request;
    const { signal } = options;
    signal?.throwIfAborted();

    return new Promise((resolve, reject) => {
      let givenUp = false;
      const giveUp = (reason: unknown): void => {
        givenUp = true;
        stopWaiting();
        lkb.cancel();
        reject(reason);
      };
      const removeListener = onAbort(signal, () => {
        giveUp(signal?.reason);
      });
      const stopWaiting = (): void => {
        this.#waiting.delete(giveUp);
        removeListener();
      };
      this.#waiting.add(giveUp);

      const lkb = new Lkb(this.#channel);
      const value = new ValueBlock();
      const plan = value.plan(undefined, mode, options.lvb);
      const flags = plan.flags | (noQueue ? LKF.noQueue : 0);
      const bast = typeof options.onBlocking === "function";
      const submission = { kind: OP.lock, mode: modeNumber(mode), flags, bast, name: bytes };
      // A request that does not queue is over before a cancel could reach it, and its lkid may be another's by then.
      const outcome = lkb.perform(submission, !noQueue);
      this.#settle(
        outcome.then(async (completion) => {
          stopWaiting();
          if (completion.status === 0) {
            plan.done(completion);
            const lock = this.#hold(request, lkb, value, completion, givenUp);
            if (givenUp) await lock.release();
            else resolve(lock);
            return;
          }
          lkb.free();
          if (noQueue && completion.status === EAGAIN) resolve(null);
          else reject(this.#failure(request, completion));
        }),
      );
    });
  }

  #hold(request: Request, lkb: Lkb, value: ValueBlock, completion: Completion, givenUp: boolean): Lock {
    if (givenUp) value.forget();
    const { onBlocking } = request.options;
    const lock = new Lock({
      channel: this.#channel,
      lkb,
      lkid: completion.lkid,
      lockspace: this.#name,
      resource: request.resource,
      mode: request.mode,
      value,
      onBlocking: givenUp ? undefined : (onBlocking ?? undefined),
      onReleased: (released) => this.#locks.delete(released),
    });
    this.#locks.add(lock);
    return lock;
  }

  #settle(work: Promise<unknown>): void {
    // A given-up grant that cannot be released has nobody to tell; its handle's close ends it.
    const settled: Promise<unknown> = work
      .catch(() => undefined)
      .finally(() => {
        this.#unsettled.delete(settled);
      });
    this.#unsettled.add(settled);
  }

  async #close(): Promise<void> {
    for (const giveUp of [...this.#waiting]) giveUp(this.#closedError());
    while (this.#unsettled.size > 0) await Promise.allSettled(this.#unsettled);
    // What cannot be released goes with the handle.
    await Promise.allSettled([...this.#locks].map((lock) => lock.release()));
    this.#locks.clear();
    await this.#channel.close();
  }

  #closedError(): LockStateError {
    return new LockStateError("ERR_LOCKSPACE_CLOSED", `The handle on lockspace '${this.#name}' has been closed`);
  }

  #failure(request: Request, completion: Completion): DlmError {
    const { resource } = request;
    return new DlmError({ errno: completion.status, syscall: "dlm_lock", lockspace: this.#name, resource });
  }
}
