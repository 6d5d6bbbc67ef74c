import { EventEmitter } from "node:events";

import { onAbort } from "../aborts";
import { type Options, checkFlag, checkObject, checkSignal, checkUint32 } from "../checks";
import { LockStateError, invalidValue } from "../errors";
import type { NativeFile } from "../native";
import { tell } from "../tell";

import type { DomainEvents, Exclusion, OpenDomainOptions, PendingRequest } from "./domain-options";
import { Handle } from "./handle";
import { dlmfsError } from "./hints";
import { type ExplainWaitOptions, type WaitExplanation, explainWaits } from "./inspect";
import { DomainLock } from "./lock";
import type { DomainLockOptions, DomainTryLockOptions } from "./lock-options";
import { Membership, closedError, listDomains, removeDomain } from "./membership";
import { checkDomainLockName, checkDomainName } from "./names";
import { type Isolation, Opener } from "./opener";
import type { Opening } from "./opening";
import { type CheckedOptions, checkChoice, checkFileMode, checkLockOptions, checkPath } from "./options";
import { RUN_DIRECTORY } from "./paths";
import { LockRequest } from "./request";
import { watchDomain } from "./watch";

const EAGAIN = -11;
const ETXTBSY = -26;
const ENOTSUP = -95;
const PATIENCE_MS = 1000;
const MOUNT = "/dlm";

/** Why a tryLock() gave up. */
const OUT_OF_PATIENCE = Symbol("out of patience");

/**
 * A handle on a domain of ocfs2_dlmfs, which is a directory of its mount: the locks in it are files. The handle owns the
 * locks taken through it. Worker threads each open their own.
 *
 * Nothing here blocks the event loop, and nothing that waits keeps the process from ending: what the kernel does not let go
 * of sleeps in a helper process. Source: fs/ocfs2/dlmfs/dlmfs.c, fs/ocfs2/dlmfs/userdlm.c.
 */
export class Domain extends EventEmitter<DomainEvents> implements AsyncDisposable {
  readonly #handle: Handle;
  readonly #mount: string;
  readonly #keep: NativeFile;
  readonly #unwatch: () => void;
  #closing: Promise<void> | undefined;
  #stalledSince: number | undefined;

  private constructor(handle: Handle, mount: string, keep: NativeFile) {
    super();
    this.#handle = handle;
    this.#mount = mount;
    this.#keep = keep;
    this.#unwatch = watchDomain(
      handle.stack === "o2cb" ? "o2cb" : "fs/dlm",
      handle.name,
      (why) => {
        this.#lose(why);
      },
      (stalled) => {
        this.#stall(stalled);
      },
    );
  }

  /**
   * Opens a domain, and joins it first if `create` says so and this node has not. While it is open, nobody on this node can
   * remove it.
   *
   * @param name 1 to 63 bytes: letters, digits, '_', '-', '.', not beginning with '.'
   * @throws {DlmfsError} ENODEV (no ocfs2_dlmfs there), ENOENT (not joined), EACCES, EPERM, EINVAL (o2cb not configured, no
   *   heartbeat), ENOTCONN, EBUSY, EBADR (see `allowClusterNameWorkaround`), ETIMEDOUT (not let in for 90 s), …; the message
   *   says what mends it
   * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
   */
  static async open(name: string, options?: OpenDomainOptions): Promise<Domain> {
    const given = checkObject(options);
    checkDomainName(name, checkFlag(given, "volume"));
    const mount = checkPath(given, "mount", MOUNT);
    const exclusion = checkChoice<Exclusion>(given, "exclusion", ["node", "handle", "none"]);
    const isolation = checkChoice<Isolation>(given, "isolation", ["process", "thread"]);
    const signal = checkSignal(given["signal"]);
    const join = {
      name,
      mount,
      create: checkFlag(given, "create"),
      mode: checkFileMode(given, "mode") ?? 0o755,
      exclusion,
      runDirectory: checkPath(given, "runDirectory", RUN_DIRECTORY),
      exclusiveOnly: checkFlag(given, "exclusiveOnly"),
      allowClusterNameWorkaround: checkFlag(given, "allowClusterNameWorkaround"),
      signal,
    };
    signal?.throwIfAborted();
    const opener = Opener.join(isolation);
    try {
      const { path, stack, sidecar, keep } = await new Membership(opener, join).join();
      try {
        return new Domain(new Handle({ ...join, path, stack, opener, sidecar }), mount, keep);
      } catch (error) {
        keep.close();
        sidecar?.file.close();
        throw error;
      }
    } catch (error) {
      opener.leave();
      throw error;
    }
  }

  /**
   * The domains that this node has joined through a mount. There is no list of all that the cluster has.
   *
   * @throws {DlmfsError} ENODEV: no ocfs2_dlmfs there
   */
  static async list(options?: { mount?: string | undefined }): Promise<string[]> {
    const mount = checkPath(checkObject(options), "mount", MOUNT);
    const opener = Opener.join("process");
    try {
      return await listDomains(opener, mount);
    } finally {
      opener.leave();
    }
  }

  get name(): string {
    return this.#handle.name;
  }

  /** Where the file system is mounted. */
  get mount(): string {
    return this.#mount;
  }

  /** The domain's directory. */
  get path(): string {
    return this.#handle.path;
  }

  /** The cluster stack: "o2cb", or the name of another one, such as "pcmk": the locks then are fs/dlm's. */
  get stack(): string {
    return this.#handle.stack;
  }

  get closed(): boolean {
    return this.#handle.ended !== undefined;
  }

  /** How many locks are held through this handle. */
  get held(): number {
    return this.#handle.locks.size;
  }

  /**
   * Waits for a lock and holds it.
   *
   * @param name 1 to 31 bytes of UTF-8 without '/', not beginning with '$' or '.'
   * @throws {DlmfsError} EACCES (the file is not open to this user), EMFILE, …
   * @throws {LockStateError} ERR_DOMAIN_CLOSED, ERR_DOMAIN_LOST; ERR_OPENER_LOST: the helper process was killed
   * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
   */
  async lock(name: string, options?: DomainLockOptions): Promise<DomainLock> {
    checkDomainLockName(name, this.stack);
    const given = checkObject(options);
    const checked = this.#checkOptions(given);
    const signal = checkSignal(given["signal"]);
    signal?.throwIfAborted();
    this.#assertOpen();
    return this.#take(name, checked, signal);
  }

  /**
   * Takes a lock unless somebody holds it: `null` then. A lock that another node merely has cached is demanded, and waited
   * for as long as `patience` says.
   *
   * @throws what {@link Domain.lock} throws; ENOTSUP: `raw` on a stack other than o2cb
   */
  async tryLock(name: string, options?: DomainTryLockOptions): Promise<DomainLock | null> {
    checkDomainLockName(name, this.stack);
    const given = checkObject(options);
    const checked = this.#checkOptions(given);
    const raw = checkFlag(given, "raw");
    const patience = given["patience"] === undefined ? PATIENCE_MS : checkUint32(given["patience"], "options.patience");
    this.#assertOpen();
    if (raw && this.stack !== "o2cb") {
      const hint = "a refused non-blocking open hangs for ever on fs/dlm (user_ast() drops its answer); leave raw out";
      throw dlmfsError(ENOTSUP, "open", { path: this.#handle.pathOf(name), domain: this.name, lock: name }, hint);
    }
    return this.#tryTake(name, { ...checked, raw }, patience);
  }

  /** Holds a lock while `fn` runs. `fn` gets the lock's signal, which aborts if the lock is lost. */
  async withLock<T>(
    name: string,
    options: DomainLockOptions | undefined,
    fn: (lock: DomainLock, signal: AbortSignal) => T | PromiseLike<T>,
  ): Promise<T> {
    const lock = await this.lock(name, options);
    try {
      return await fn(lock, lock.signal);
    } finally {
      await lock.release();
    }
  }

  /** The names of the locks that this node has files of, held, cached or neither. */
  async names(): Promise<string[]> {
    this.#assertOpen();
    const outcome = await this.#handle.opener.perform({ op: "list", path: this.path });
    if (outcome.errno !== 0) throw this.#handle.failure(outcome);
    return (outcome.names ?? []).filter((name) => !name.startsWith("."));
  }

  /**
   * Drops a lock from this node that is cached and not held. If no other node has a lock on it, its value goes with it.
   *
   * @throws {DlmfsError} EBUSY: somebody of this node holds it, waits for it, or uses it through another handle
   */
  async drop(name: string): Promise<void> {
    checkDomainLockName(name, this.stack);
    this.#assertOpen();
    const outcome = await this.#handle.drop(this.#handle.named(name));
    if (outcome.errno !== 0) throw this.#handle.failure(outcome, name);
  }

  /** The requests of this handle that wait, those included that nobody waits for any more. */
  pending(): PendingRequest[] {
    const waiting = [...this.#handle.requests].flatMap((request) => request.pending ?? []);
    const deserted = [...this.#handle.names.values()].flatMap(({ name, deserted }) =>
      [...deserted].map((opening) => describe(name, opening)),
    );
    return [...waiting, ...deserted];
  }

  /**
   * Closes the handle: its locks are released, its requests rejected. The node stays in the domain and keeps what it has
   * cached.
   */
  close(): Promise<void> {
    this.#closing ??= this.#end(closedError(this.name));
    return this.#closing;
  }

  /**
   * Closes the handle, drops the locks whose files it has made, and leaves the domain if nobody else of this node uses it.
   * When the last node leaves, all values are gone; when one leaves that has a lock in its care, so may be that lock's.
   *
   * @returns whether this node has left; false: others of this node use the domain, or somebody has left lock files there
   * @throws {DlmfsError} what rmdir(2) and unlink(2) give
   */
  async leave(): Promise<boolean> {
    this.#assertOpen();
    const left = this.#leave();
    const ended = (): void => undefined;
    this.#closing = left.then(ended, ended);
    return left;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * What each request that waits in the kernel or for others of this node waits for, for how long, and for whom. Reads
   * debugfs and /proc, never the mount, and so answers however deep the requests sleep. Needs root for more than the
   * thread's state.
   *
   * @throws {TypeError | RangeError} a wrong option; the signal's reason
   */
  async explainWaits(options?: Omit<ExplainWaitOptions, "opener" | "mount">): Promise<WaitExplanation[]> {
    this.#assertOpen();
    const { opener, requests, names } = this.#handle;
    const waits = [
      ...[...requests].flatMap((request) => (request.pending ? { ...request.pending, id: request.taskId } : [])),
      ...[...names.values()].flatMap((named) =>
        [...named.deserted].map((opening) => ({ ...describe(named.name, opening), id: opening.id })),
      ),
    ];
    if (waits.length === 0) return [];
    const { status = [] } = await opener.perform({ op: "status", path: "" });
    const { pid } = opener;
    const tasks = new Map(status.map((row) => [row.id, row]));
    return explainWaits(
      this.name,
      waits.map(({ id, ...wait }) => ({ ...wait, task: id === undefined ? undefined : tasks.get(id) })),
      { ...options, opener: pid === undefined ? undefined : { pid }, mount: this.#mount },
    );
  }

  #stall(stalled: boolean): void {
    const since = this.#stalledSince;
    this.#stalledSince = stalled ? performance.now() : undefined;
    if (stalled) this.emit("stall");
    else if (since !== undefined) this.emit("resume", { stalledMs: performance.now() - since });
  }

  // The cluster has gone away.
  #lose(why: string): void {
    if (this.#handle.ended) return;
    const reason = new LockStateError("ERR_DOMAIN_LOST", `the domain '${this.name}' was lost: ${why}`);
    this.#handle.ended = reason;
    for (const lock of [...this.#handle.locks]) lock.lose(reason);
    for (const request of [...this.#handle.requests]) request.giveUp(reason);
    tell(() => this.emit("lost", reason));
  }

  async #end(reason: LockStateError): Promise<void> {
    this.#unwatch();
    try {
      await this.#releaseAll(reason);
    } finally {
      this.#closeFiles();
      this.#leaveOpener();
    }
  }

  async #leave(): Promise<boolean> {
    const { opener, path, name, stack, names } = this.#handle;
    this.#unwatch();
    const made = [...names.values()].filter((named) => named.created);
    try {
      await this.#releaseAll(closedError(name));
      await all(made.map((named) => this.#handle.drop(named)));
      this.#closeFiles();
      return await removeDomain(opener, path, name, stack);
    } finally {
      this.#closeFiles();
      this.#leaveOpener();
    }
  }

  async #releaseAll(reason: LockStateError): Promise<void> {
    for (const request of [...this.#handle.requests]) request.giveUp(reason);
    const releases = [...this.#handle.locks].map((lock) => lock.release());
    this.#handle.ended ??= reason;
    await all(releases);
  }

  #closeFiles(): void {
    this.#keep.close();
    this.#handle.sidecar?.file.close();
  }

  #leaveOpener(): void {
    this.#handle.opener.leave();
    tell(() => this.emit("close"));
  }

  #checkOptions(given: Options): CheckedOptions {
    const checked = checkLockOptions(given);
    if (checked.mode === "PR" && this.#handle.exclusiveOnly) {
      throw invalidValue("options.mode", "is 'PR', but the domain was opened with { exclusiveOnly: true }");
    }
    return checked;
  }

  #assertOpen(): void {
    if (this.#handle.ended) throw this.#handle.ended;
  }

  async #take(name: string, options: CheckedOptions, signal: AbortSignal | undefined): Promise<DomainLock> {
    const request = new LockRequest(this.#handle, this.#handle.named(name), options);
    const stop = onAbort(signal, () => {
      request.giveUp(signal?.reason);
    });
    try {
      return await this.#hold(request, name, options);
    } finally {
      stop();
    }
  }

  async #hold(request: LockRequest, name: string, options: CheckedOptions): Promise<DomainLock> {
    const grant = await request.granted;
    const named = this.#handle.named(name);
    if (this.#handle.ended) {
      grant.file.close();
      named.users--;
      grant.place?.leave();
      throw this.#handle.ended;
    }
    const { mode, onBlocking, uncached } = options;
    return new DomainLock({ domain: this, handle: this.#handle, named, mode, onBlocking, uncached }, grant);
  }

  async #tryTake(name: string, options: CheckedOptions, patience: number): Promise<DomainLock | null> {
    // nobody holds what is being dropped
    const { dropping } = this.#handle.named(name);
    if (dropping) {
      await dropping.catch(() => undefined);
      this.#assertOpen();
    }
    const named = this.#handle.named(name);
    // the kernel's trylock would wait for what we ourselves have in the kernel, and that is not granted yet
    if (options.raw && named.deserted.size > 0) return null;
    let place;
    if (this.#handle.exclusion !== "none") {
      place = named.queue.tryJoin(options.mode);
      if (!place) return null;
      const errno = named.exclude(options.mode);
      if (errno !== 0) {
        place.leave();
        if (errno === EAGAIN) return null;
        throw dlmfsError(errno, "fcntl", { path: this.#handle.sidecar?.path ?? "", domain: this.name, lock: name });
      }
    }
    const request = new LockRequest(this.#handle, named, { ...options, excluded: true }, place);
    const timer = setTimeout(() => {
      request.giveUp(OUT_OF_PATIENCE);
    }, patience);
    try {
      return await this.#hold(request, name, options);
    } catch (error) {
      if (error === OUT_OF_PATIENCE || (error as NodeJS.ErrnoException).errno === ETXTBSY) return null;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Waits for the end of all, and fails with the first that failed. */
async function all(promises: Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

function describe(name: string, { mode, phase, since }: Opening): PendingRequest {
  return { name, mode, sinceMs: performance.now() - since, phase, abandoned: true };
}
