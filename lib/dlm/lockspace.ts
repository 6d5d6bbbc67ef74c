import { EventEmitter } from "node:events";

import { DlmError, LockStateError } from "../errors";
import { native } from "../native";

import { onAbort } from "../aborts";
import { type Acquirer, Acquisition, type Request } from "./acquisition";
import { Channel } from "./channel";
import { ControlCall } from "./control-call";
import { lockspaceError, purgeError, watchError } from "./hints";
import { Lkb } from "./lkb";
import type { Lock } from "./lock";
import type { AdoptOptions, LockOptions, TryLockOptions } from "./lock-options";
import type { LockspaceEvents, OpenOptions, PurgeOptions, RemoveOptions } from "./lockspace-options";
import { checkLvbOption } from "./lvb";
import { type ResourceName, checkLockspaceName, encodeResourceName } from "./names";
import { checkFlag, checkObject, checkSignal, checkUint32 } from "../checks";
import { checkCreation, checkListener, checkMode, checkXid } from "./options";
import { OP } from "./request-buffer";
import { keptFlags, requestFlags } from "./request-flags";
import { Roster } from "./roster";
import { readMembers } from "../fs-dlm/watch/members";
import { Watch } from "./watch/watch";

const EACCES = -13;
const ENOBUFS = -105;
const DEFAULT_LOCKSPACE = "default";
const OWN_XID = checkXid(process.pid);

/**
 * A handle on a lockspace of the kernel's DLM. The handle owns its locks: the kernel drops all that are not persistent
 * when it is closed,
 * be it by `close()`, the end of the worker or process, or SIGKILL. Worker threads each open their own.
 *
 * Nothing here blocks the event loop. While the lockspace is in recovery (a node joined, left or died) requests wait
 * in the kernel; so do `close()` and, because the kernel drops locks on a process's way out, the exit of the process.
 * Source: fs/dlm/user.c, fs/dlm/lock.c (`dlm_lock_recovery()`).
 */
export class Lockspace extends EventEmitter<LockspaceEvents> implements AsyncDisposable {
  readonly #name: string;
  readonly #channel: Channel;
  readonly #watch: Watch;
  readonly #acquirer: Acquirer;
  readonly #locks = new Roster<Lock>();
  // Requests that the kernel may still grant, including those that were given up.
  readonly #unsettled = new Roster<Acquisition>();
  #onAllSettled: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #lost: LockStateError | undefined;
  readonly #loss: Promise<void>;
  #onLoss: () => void = () => undefined;

  private constructor(name: string, channel: Channel) {
    super();
    this.#name = name;
    this.#channel = channel;
    this.#loss = new Promise((resolve) => {
      this.#onLoss = resolve;
    });
    this.#acquirer = {
      name,
      channel,
      onGranted: (lock) => {
        this.#locks.add(lock);
      },
      onReleased: (lock) => {
        this.#locks.delete(lock);
      },
      onSettled: (acquisition) => {
        this.#unsettled.delete(acquisition);
        if (this.#unsettled.size === 0) this.#onAllSettled?.();
      },
    };
    channel.onBroken = (errno) => {
      this.#lose("its device failed", new DlmError({ errno, syscall: "read", lockspace: name, path: channel.path }));
    };
    this.#watch = new Watch(name, () => this.#locks.size > 0 || this.#unsettled.size > 0 || this.#isListenedTo(), {
      stalled: () => this.emit("stall"),
      resumed: (stalledMs) => this.emit("resume", { stalledMs }),
      members: (now, before) => {
        const joined = now.filter((node) => !before.includes(node));
        this.emit("members", { members: now, joined, left: before.filter((node) => !now.includes(node)) });
      },
      lost: (why) => {
        this.#lose(why);
      },
    });
    this.#hearOfListeners();
  }

  #hearOfListeners(): void {
    (this as EventEmitter).on("newListener", (event: string) => {
      if (event === "members") void this.#watch.watchMembers();
      this.#watch.wake();
    });
  }

  override removeAllListeners(event?: keyof LockspaceEvents): this {
    super.removeAllListeners(event);
    if (event === undefined) this.#hearOfListeners();
    return this;
  }

  /**
   * Opens a lockspace on this node.
   *
   * @param name 1 to 64 bytes without '/', '!', spaces or control characters
   * @throws {DlmError} ENOENT (module not loaded, not joined), EACCES, EPERM, ENOTCONN (no dlm_controld), EUNATCH
   *   (dlm_controld died), EEXIST (`exclusive`), EBADE (another version of the kernel's interface), …; the message says
   *   what mends it
   * @throws {TypeError | RangeError} a wrong name or option
   */
  static async open(name: string, options?: OpenOptions): Promise<Lockspace> {
    checkLockspaceName(name);
    const given = checkObject(options);
    const { wanted, exclusive, mode } = checkCreation(given["create"]);
    const signal = checkSignal(given["signal"]);
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const stopWaiting = onAbort(signal, () => {
        reject(signal?.reason as Error);
      });
      native().openLockspace(name, wanted, exclusive, mode, (...[failure, opened]) => {
        stopWaiting();
        if (!opened) {
          reject(lockspaceError(name, failure, exclusive));
          return;
        }
        try {
          const channel = new Channel(opened);
          if (signal?.aborted) void channel.close();
          else resolve(new Lockspace(name, channel));
        } catch (error) {
          opened.close(true);
          reject(watchError(name, error));
        }
      });
    });
  }

  /** Opens the lockspace "default", which libdlm's calls without a lockspace use. */
  static default(options?: OpenOptions): Promise<Lockspace> {
    return Lockspace.open(DEFAULT_LOCKSPACE, options);
  }

  /**
   * Leaves the lockspace on this node: gives back one creation, and the last one leaves. Other nodes stay.
   * Refuses while any process of this node has it open, since the kernel would otherwise sleep, unkillable, until all
   * have closed it, and no other lockspace could be created or removed on this node meanwhile. Locks of other nodes
   * are no hindrance: the resources that this node masters get another master.
   *
   * @throws {DlmError} EBUSY (`holders` has the process ids; none: orphaned locks), ENOENT, EPERM
   */
  static async remove(name: string, options?: RemoveOptions): Promise<void> {
    checkLockspaceName(name);
    const force = checkFlag(checkObject(options), "force");
    return new Promise((resolve, reject) => {
      native().removeLockspace(name, force, (failure) => {
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
   * Whether the lockspace works this moment: "running"; "stopped" while it recovers, or waits for quorum or fencing;
   * "lost"; "closed". Undefined where sysfs cannot be read. Source: /sys/kernel/dlm/NAME/recover_status.
   */
  get state(): "running" | "stopped" | "lost" | "closed" | undefined {
    if (this.#lost) return "lost";
    if (this.#closing) return "closed";
    const state = this.#watch.state;
    return state === "gone" ? "lost" : state;
  }

  /**
   * The node ids of the members, ascending, as the cluster's controller last told the kernel; undefined where configfs
   * cannot be read.
   */
  members(): Promise<number[] | undefined> {
    return readMembers(this.#name);
  }

  /**
   * Requests a lock and waits until the kernel grants it. Locks know nothing of processes: a second lock of the same
   * process on the same resource conflicts like a stranger's.
   *
   * @param resource 1 to 64 bytes, not ending in NUL; a string is taken as UTF-8
   * @throws {DlmError} what the kernel refused, with its errno; EDEADLK: {@link cancelDeadlock} ended it
   * @throws {LockStateError} ERR_LOCKSPACE_CLOSED, ERR_LOCKSPACE_LOST
   * @throws {TypeError | RangeError} a wrong name, mode or option
   */
  lock(resource: ResourceName, options?: LockOptions): Promise<Lock> {
    return new Promise((resolve, reject) => {
      this.#acquire(this.#check(resource, options, false), resolve as (lock: Lock | null) => void, reject);
    });
  }

  /**
   * As {@link lock}, but resolves to null instead of waiting. Asks the resource's master node, so null is the
   * cluster's answer, not a guess. Holders get no blocking notice, unless asked for. Source: DLM_LKF_NOQUEUE.
   */
  tryLock(resource: ResourceName, options?: TryLockOptions): Promise<Lock | null> {
    return new Promise((resolve, reject) => {
      this.#acquire(this.#check(resource, options, true), resolve, reject);
    });
  }

  /**
   * Takes over an orphan: a persistent lock whose handle is gone, on this node and in just this mode. Persistent again,
   * unless `persistent: false`. Resolves to null when there is no orphan on the resource. The kernel brings no value
   * along: the next conversion that reads does, which EX to EX and PW to PW are not. Source: fs/dlm/lock.c, `dlm_user_adopt_orphan()`.
   *
   * @throws {DlmError} EAGAIN when the orphans there have another mode
   */
  adopt(resource: ResourceName, options?: AdoptOptions): Promise<Lock | null> {
    return new Promise((resolve, reject) => {
      const given = checkObject(options);
      const request = this.#check(resource, { ...given, persistent: given["persistent"] ?? true }, false);
      this.#acquire({ ...request, kind: OP.adopt, noQueue: true, signal: undefined }, resolve, reject);
    });
  }

  /**
   * Drops orphans, here or on another node; the kernel does not say how many. What another node is asked for happens
   * soon after.
   *
   * @throws {DlmError} ENOBUFS for a node that is no member: the kernel is not asked, since it would warn in its log
   *   (fs/dlm/midcomms.c, `dlm_midcomms_get_mhandle()`); EACCES when the members cannot be read
   */
  async purge(options?: PurgeOptions): Promise<void> {
    const { nodeid = 0, pid = 0 } = checkObject(options);
    const submission = {
      kind: OP.purge,
      nodeid: checkUint32(nodeid, "options.nodeid"),
      pid: checkUint32(pid, "options.pid"),
    };
    this.#assertOpen();
    if (nodeid !== 0) await this.#assertMember(submission.nodeid);
    this.#assertOpen();
    const { status } = await new ControlCall(this.#channel).perform(submission);
    this.#assertNotLost();
    if (status !== 0) throw purgeError(this.#name, status);
  }

  /**
   * Drops every lock of this handle at once, in one request to the kernel, persistent ones too; waiting requests reject
   * with ERR_LOCK_RELEASED. Values are not written: those of PW and EX are flagged as not valid for everybody.
   * Source: fs/dlm/lock.c, `purge_proc_locks()`.
   */
  async releaseAll(): Promise<void> {
    this.#assertOpen();
    const dropped = new ControlCall(this.#channel).perform({ kind: OP.dropAll }).then(({ status }) => status === 0);
    const waiting = [...this.#unsettled];
    const locks = [...this.#locks].map((lock) => lock.leaveTo(dropped));
    const error = new LockStateError("ERR_LOCK_RELEASED", `All locks of '${this.#name}' have been released`);
    for (const acquisition of waiting) acquisition.giveUp(error);
    if (await dropped) for (const acquisition of waiting) acquisition.drop();
    await Promise.all(locks);
    this.#assertNotLost();
  }

  /**
   * Ends a waiting request or conversion of this handle with EDEADLK: for whoever has found a deadlock, by
   * {@link findDeadlocks} or otherwise. Resolves to whether there was one to end; a grant may still cross it.
   *
   * @param id the lock's id on this node, as lock dumps show it
   * Source: DLM_USER_DEADLOCK, fs/dlm/lock.c, `dlm_user_deadlock()`.
   */
  async cancelDeadlock(id: number): Promise<boolean> {
    const lkid = checkUint32(id, "id");
    this.#assertOpen();
    for (let nodeid = 0; ;) {
      // `nodeid` is the word of a request in which the first slot to look at goes along
      const found = await new ControlCall(this.#channel).perform({ kind: OP.find, lkid, nodeid });
      if (found.status <= 0) return false;
      const owner = this.#channel.ownerOf(found.lkid, found.status);
      if (owner instanceof Lkb) return owner.cancel(true);
      nodeid = found.lkid + 1;
    }
  }

  /**
   * Gives up waiting requests (they reject with ERR_LOCKSPACE_CLOSED), releases every lock as `release()` does, but for
   * persistent ones, and closes the handle. Safe to call more than once. The node stays a member of the lockspace; see
   * {@link remove}.
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

  #isListenedTo(): boolean {
    return this.eventNames().some((event) => event !== ("newListener" as unknown));
  }

  #check(resource: unknown, options: unknown, noQueue: boolean): Request {
    const bytes = encodeResourceName(resource);
    const given = checkObject(options);
    const { mode: givenMode = "EX", xid } = given;
    const mode = checkMode(givenMode, "options.mode");
    const request: Request = {
      kind: OP.lock,
      mode,
      bytes,
      resource: typeof resource === "string" ? resource : Buffer.from(bytes).toString(),
      noQueue,
      flags: requestFlags(given, mode, noQueue),
      kept: keptFlags(given),
      xid: xid === undefined ? OWN_XID : checkXid(xid),
      lvb: checkLvbOption(given["lvb"]),
      onBlocking: checkListener(given["onBlocking"]) ?? undefined,
      signal: noQueue ? undefined : checkSignal(given["signal"]),
    };
    this.#assertOpen();
    request.signal?.throwIfAborted();
    return request;
  }

  async #assertMember(nodeid: number): Promise<void> {
    const members = await this.members();
    if (!members) throw purgeError(this.#name, EACCES);
    if (!members.includes(nodeid)) throw purgeError(this.#name, ENOBUFS);
  }

  #acquire(request: Request, resolve: (lock: Lock | null) => void, reject: (error: unknown) => void): void {
    const acquisition = new Acquisition(this.#acquirer, request, resolve, reject);
    this.#unsettled.add(acquisition);
    this.#watch.wake();
    acquisition.start();
  }

  async #close(): Promise<void> {
    await Promise.race([this.#closeOrderly(), this.#loss]);
    this.#watch.end();
  }

  async #closeOrderly(): Promise<void> {
    for (const acquisition of this.#unsettled) acquisition.giveUp(this.#closedError());
    if (this.#unsettled.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onAllSettled = resolve;
      });
    }
    // What cannot be released goes with the handle; what is persistent stays, unless it was being released already.
    const leaving = [...this.#locks].filter((lock) => !lock.persistent || lock.released);
    await Promise.allSettled(leaving.map((lock) => lock.release()));
    for (const lock of this.#locks) if (lock.persistent) lock.orphan(this.#closedError());
    this.#locks.clear();
    if (!this.#lost) await this.#channel.close();
  }

  // What is closed and dropped here the kernel has given up, or is about to: nothing of it is waited for.
  #lose(why: string, cause?: DlmError): void {
    if (this.#lost) return;
    const message = `Lockspace '${this.#name}' is lost: ${why}`;
    const error = new LockStateError("ERR_LOCKSPACE_LOST", message, cause && { cause });
    this.#lost = error;
    this.#watch.end();
    const locks = [...this.#locks];
    this.#locks.clear();
    for (const acquisition of this.#unsettled) acquisition.abandon(error);
    for (const lock of locks) lock.lose(error);
    this.#channel.abandon();
    void this.#channel.close(true);
    for (const lock of locks) lock.tellLoss();
    this.#onLoss();
    // what a listener throws is not to hit whoever found out
    process.nextTick(() => this.emit("lost", error));
  }

  #assertNotLost(): void {
    if (this.#lost) throw this.#lost;
  }

  #assertOpen(): void {
    this.#assertNotLost();
    if (this.#closing) throw this.#closedError();
  }

  #closedError(): LockStateError {
    return new LockStateError("ERR_LOCKSPACE_CLOSED", `The handle on lockspace '${this.#name}' has been closed`);
  }
}
