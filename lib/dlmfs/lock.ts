import { onAbort } from "../aborts";
import { checkObject, checkSignal } from "../checks";
import { LockStateError, invalidType, invalidValue } from "../errors";

import type { NativeFile, NativeOpenerEvent } from "../native";

import type { Domain } from "./domain";
import type { Handle } from "./handle";
import { dlmfsError } from "./hints";
import type { DomainLockMode, OnDomainBlocking, ReopenOptions } from "./lock-options";
import type { NamedLock } from "./named-lock";
import { Notice } from "./notice";
import { type Grant, LockRequest } from "./request";

/** Size of a value block on ocfs2_dlmfs in bytes, on either stack. Source: DLM_LVB_LEN, fs/ocfs2/stackglue.h. */
export const DOMAIN_LVB_SIZE = 64;

const ENOENT = -2;
const EBADF = -9;
const EBUSY = -16;
const ENOTSUP = -95;
const EIO = -5;

/**
 * "granted"; "reopening": between two modes, with nothing held; "released"; "lost": the cluster has gone, and with it the
 * lock.
 */
export type DomainLockState = "granted" | "reopening" | "released" | "lost";

/** What a lock has beside its grant. */
export interface LockFacts {
  domain: Domain;
  handle: Handle;
  named: NamedLock;
  mode: DomainLockMode;
  onBlocking: OnDomainBlocking | undefined;
  uncached: boolean;
}

/**
 * A held lock: an open file of an ocfs2_dlmfs mount. It is held until `release()`, until its domain is closed, or until
 * the process or worker ends in whatever way. Source: fs/ocfs2/dlmfs/dlmfs.c.
 */
export class DomainLock implements AsyncDisposable {
  readonly #facts: LockFacts;
  #mode: DomainLockMode;
  #grant: Grant | undefined;
  #notice: Notice | undefined;
  #state: DomainLockState = "granted";
  #reopening: LockRequest | undefined;
  #released: Promise<void> | undefined;
  #abort: AbortController | undefined;
  #lossReason: LockStateError | undefined;
  #renew = false;
  #wrote = false;

  /** @internal */
  constructor(facts: LockFacts, grant: Grant) {
    this.#facts = facts;
    this.#mode = facts.mode;
    this.#grant = grant;
    facts.handle.locks.add(this);
    try {
      this.#listen();
    } catch (error) {
      this.release().catch(() => undefined);
      throw error;
    }
  }

  get domain(): Domain {
    return this.#facts.domain;
  }

  get name(): string {
    return this.#facts.named.name;
  }

  /** What is held, or was held last. */
  get mode(): DomainLockMode {
    return this.#mode;
  }

  get state(): DomainLockState {
    return this.#state;
  }

  /**
   * The descriptor that holds the lock; -1 when nothing is held. A copy of it, such as in a child process, holds the lock
   * too, for as long as it is open.
   */
  get fd(): number {
    return this.#grant?.file.fd ?? -1;
  }

  /** Aborted, with a LockStateError as its reason, when the lock is lost. Not by a release. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#lossReason) this.#abort.abort(this.#lossReason);
    }
    return this.#abort.signal;
  }

  /**
   * The 64 bytes of the value block. Zeros are what a block reads as that was never written, and, on stack o2cb, one that
   * was lost: the kernel cannot tell these apart, {@link FramedValue} can. What another node has written arrives with the
   * grant and does not change under it. Source: fs/ocfs2/dlmfs/userdlm.c, `user_dlm_read_lvb()`.
   *
   * @throws {LockStateError} ERR_LVB_INVALID: the kernel has lost track of the value (stack fs/dlm only). It says so until
   *   the lock is dropped, whatever is written
   * @throws {LockStateError} ERR_LOCK_RELEASED: the lock is not held
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- a promise, so that a failure is a rejection
  async readLvb(): Promise<Uint8Array> {
    const { file } = this.#held();
    const value = new Uint8Array(DOMAIN_LVB_SIZE);
    const size = file.read(value);
    if (size === DOMAIN_LVB_SIZE) return value;
    if (size < 0) throw dlmfsError(size, "read", this.#subject());
    if (size > 0)
      throw dlmfsError(EIO, "read", this.#subject(), `a value block of ${size} bytes: no ocfs2_dlmfs file?`);
    throw new LockStateError(
      "ERR_LVB_INVALID",
      `the value of '${this.name}' was lost with a node that died or left, and must be written anew`,
    );
  }

  /**
   * Writes the value block. Other nodes see it when the lock goes to them, and this node's other processes at once; if this
   * node dies before, it is lost. Source: fs/ocfs2/dlmfs/userdlm.c, `user_dlm_write_lvb()`.
   *
   * @param bytes at most 64, padded with zeros
   * @throws {DlmfsError} EBADF: the lock is PR
   * @throws {LockStateError} ERR_LOCK_RELEASED: the lock is not held
   * @throws {TypeError | RangeError} no bytes, or too many
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async writeLvb(bytes: Uint8Array): Promise<void> {
    if (!(bytes instanceof Uint8Array)) throw invalidType("bytes", "a Uint8Array", bytes);
    if (bytes.length > DOMAIN_LVB_SIZE) {
      throw invalidValue("bytes", `are ${bytes.length}; a value block on ocfs2_dlmfs has ${DOMAIN_LVB_SIZE}`);
    }
    const { file } = this.#held();
    if (this.#mode !== "EX") throw dlmfsError(EBADF, "write", this.#subject(), "a value is written under EX");
    // whole and from the beginning: the kernel would store a part wherever it was aimed at from byte 0 on
    const value = new Uint8Array(DOMAIN_LVB_SIZE);
    value.set(bytes);
    const size = file.write(value);
    this.#wrote = true;
    if (size !== DOMAIN_LVB_SIZE) throw dlmfsError(size < 0 ? size : EIO, "write", this.#subject());
  }

  /**
   * From PR to EX, by closing and asking again: others can have the lock, and write its value, in between. (Asking for EX
   * with PR still held would wait for itself as soon as another node wants the lock.) If it fails, nothing is held.
   *
   * @throws the signal's reason; what {@link Domain.lock} throws
   */
  async upgrade(options?: ReopenOptions): Promise<void> {
    await this.#reopen("EX", options);
  }

  /**
   * From EX to PR, in the same way. Others of this node who want EX are kept out throughout; other nodes are not. If it
   * fails, nothing is held.
   *
   * @throws the signal's reason; what {@link Domain.lock} throws
   */
  async downgrade(options?: ReopenOptions): Promise<void> {
    await this.#reopen("PR", options);
  }

  async #reopen(mode: DomainLockMode, options: unknown): Promise<void> {
    const signal = checkSignal(checkObject(options)["signal"]);
    const { handle, named } = this.#facts;
    if (mode === "PR" && handle.exclusiveOnly) {
      throw dlmfsError(ENOTSUP, "open", this.#subject(), "the domain was opened with { exclusiveOnly: true }");
    }
    const { file, place } = this.#held();
    signal?.throwIfAborted();
    if (mode === this.#mode) return;
    this.#notice?.stop();
    this.#notice = undefined;
    this.#grant = undefined;
    this.#state = "reopening";
    this.#disown(file);
    file.close();
    const kept = mode === "PR" ? place : undefined;
    if (kept) {
      kept.share();
      named.exclude("PR");
    } else {
      place?.leave();
    }
    named.users--;
    const request = new LockRequest(handle, named, { mode, excluded: kept !== undefined }, kept);
    this.#reopening = request;
    const stop = onAbort(signal, () => {
      request.giveUp(signal?.reason);
    });
    try {
      this.#regain(mode, await request.granted);
    } catch (error) {
      this.#lapse("released");
      throw error;
    } finally {
      stop();
      this.#reopening = undefined;
    }
  }

  #regain(mode: DomainLockMode, grant: Grant): void {
    this.#grant = grant;
    const { ended } = this.#facts.handle;
    if (ended || this.#state !== "reopening") {
      this.#letGo();
      throw ended ?? this.#releasedError();
    }
    this.#mode = mode;
    this.#state = "granted";
    this.#wrote = false;
    this.#listen();
  }

  /**
   * The release drops the lock from the kernel for all of this node, whoever of it uses the lock, too, but does not hold
   * it: what the kernel says of a value that it has lost ends with that. Nobody of this node gets the lock in between.
   */
  dropOnRelease(): void {
    this.#renew = true;
  }

  /**
   * Gives the lock back. The node keeps it cached, unless it was `uncached`, and other nodes get it on demand. May be
   * called again, and after a loss: it then does nothing.
   */
  release(): Promise<void> {
    if (this.#state === "reopening") {
      this.#reopening?.giveUp(this.#releasedError());
    }
    this.#released ??= this.#release();
    return this.#released;
  }

  async #release(): Promise<void> {
    const { handle, named } = this.#facts;
    const held = this.#grant !== undefined;
    if (held && this.#renew && !handle.ended) {
      await this.#releaseRenewed();
      return;
    }
    this.#lapse("released");
    if (this.#facts.uncached) named.dropWhenIdle = true;
    if (!held || !named.dropWhenIdle || !named.isIdle() || handle.ended) return;
    named.dropWhenIdle = false;
    this.#judge(await this.#unlessEnded(handle.drop(named)));
  }

  // The file is closed, but those of this node who want the lock are kept out until it has been dropped.
  async #releaseRenewed(): Promise<void> {
    const { handle, named } = this.#facts;
    this.#state = "released";
    const grant = this.#close();
    try {
      this.#judge(await this.#unlessEnded(handle.renew(named)));
    } finally {
      this.#leave(grant);
      handle.locks.delete(this);
    }
  }

  // The lock is given back, and what is cached has stayed so with others, too, who closed the domain.
  #unlessEnded(drop: Promise<NativeOpenerEvent>): Promise<NativeOpenerEvent | undefined> {
    return drop.catch((error: unknown) => {
      if (this.#facts.handle.ended) return undefined;
      throw error;
    });
  }

  // EBUSY: others of this node have it, and keep what they have.
  #judge(outcome: NativeOpenerEvent | undefined): void {
    const fine = [0, EBUSY, ENOENT, undefined];
    if (outcome && !fine.includes(outcome.errno)) throw this.#facts.handle.failure(outcome, this.name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** @internal */
  lose(reason: LockStateError): void {
    if (this.#state !== "granted" && this.#state !== "reopening") return;
    this.#reopening?.giveUp(reason);
    this.#lossReason = reason;
    this.#lapse("lost");
    this.#abort?.abort(reason);
  }

  #listen(): void {
    const { onBlocking } = this.#facts;
    if (!onBlocking) return;
    const { file } = this.#held();
    try {
      this.#notice = new Notice(file, this.#mode, () => {
        onBlocking(this.#mode === "PR" ? "EX" : undefined, this);
      });
    } catch (error) {
      const hint = "this kernel's ocfs2_dlmfs cannot tell of other nodes' demands: it lacks the capability 'bast'";
      const { errno = ENOTSUP } = error as { errno?: number };
      throw dlmfsError(errno, "poll", this.#subject(), hint);
    }
  }

  #held(): Grant {
    if (this.#grant) return this.#grant;
    if (this.#lossReason) throw this.#lossReason;
    const doing = this.#state === "reopening" ? "is being opened anew" : "was released";
    throw new LockStateError("ERR_LOCK_RELEASED", `the lock on '${this.name}' ${doing}`);
  }

  #releasedError(): LockStateError {
    return new LockStateError("ERR_LOCK_RELEASED", `the lock on '${this.name}' was released`);
  }

  #lapse(state: "released" | "lost"): void {
    if (this.#state === "lost") return;
    this.#state = state;
    this.#letGo();
    this.#facts.handle.locks.delete(this);
  }

  // the file first: who comes next is not to wait in the kernel for us
  #letGo(): void {
    this.#leave(this.#close());
  }

  #close(): Grant | undefined {
    this.#notice?.stop();
    this.#notice = undefined;
    const grant = this.#grant;
    this.#grant = undefined;
    if (grant) {
      this.#disown(grant.file);
      grant.file.close();
    }
    return grant;
  }

  #leave(grant: Grant | undefined): void {
    if (!grant) return;
    this.#facts.named.users--;
    grant.place?.leave();
  }

  // A value that the kernel has lost track of leaves an EX hold as a valid one, with whatever bytes were left of it
  // (fs/dlm/lock.c, set_lvb_lock(), and every request of ocfs2_dlmfs has VALBLK). Zeros say no more than is known.
  #disown(file: NativeFile): void {
    if (this.#mode !== "EX" || this.#wrote || this.#facts.handle.stack === "o2cb") return;
    if (file.read(new Uint8Array(1)) === 0) file.write(new Uint8Array(DOMAIN_LVB_SIZE));
  }

  #subject(): { path: string; domain: string; lock: string } {
    const { handle } = this.#facts;
    return { path: handle.pathOf(this.name), domain: handle.name, lock: this.name };
  }
}
