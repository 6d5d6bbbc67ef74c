import { DlmError, type LockStateError } from "../errors";
import { type LockMode, modeNumber } from "../modes";

import { onAbort } from "../aborts";
import type { Channel, Completion } from "./channel";
import { SBF } from "./flags";
import { Lkb } from "./lkb";
import { Lock, type OnBlocking } from "./lock";
import { OP } from "./request-buffer";
import { grantedMode } from "./request-flags";
import type { Rostered } from "./roster";
import { ValueBlock } from "./value";
import type { LvbOption } from "./lvb";

const EAGAIN = -11;
const ENOENT = -2;

/** A checked request for a lock. */
export interface Request {
  kind: typeof OP.lock | typeof OP.adopt;
  mode: LockMode;
  bytes: Uint8Array;
  resource: string;
  noQueue: boolean;
  /** LKF_* but those of the value block and those kept. */
  flags: number;
  /** LKF.persistent, LKF.noDlckBlk: sent again with each conversion, since only the last operation's count. */
  kept: number;
  xid: { low: number; high: number };
  lvb: LvbOption | undefined;
  onBlocking: OnBlocking | undefined;
  signal: AbortSignal | undefined;
}

/** The handle that acquires. */
export interface Acquirer {
  readonly name: string;
  readonly channel: Channel;
  /** The lock is held from now on. */
  onGranted(lock: Lock): void;
  onReleased: (lock: Lock) => void;
  /** Nothing of the request is left for the kernel to answer. */
  onSettled(acquisition: Acquisition): void;
}

/** One request for a lock, from its submission to its end: a grant, a refusal, an error, or giving it up. */
export class Acquisition implements Rostered {
  place = -1;
  readonly #acquirer: Acquirer;
  readonly #request: Request;
  readonly #resolve: (lock: Lock | null) => void;
  readonly #reject: (error: unknown) => void;
  readonly #lkb: Lkb;
  readonly #value = new ValueBlock();
  #removeListener: (() => void) | undefined;
  #givenUp = false;

  constructor(
    acquirer: Acquirer,
    request: Request,
    resolve: (lock: Lock | null) => void,
    reject: (error: unknown) => void,
  ) {
    this.#acquirer = acquirer;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#lkb = new Lkb(acquirer.channel);
  }

  start(): void {
    const { kind, mode, bytes, noQueue, flags, kept, xid, lvb, onBlocking, signal } = this.#request;
    if (signal) {
      this.#removeListener = onAbort(signal, () => {
        this.giveUp(signal.reason);
      });
    }
    const adopts = kind === OP.adopt;
    if (adopts) this.#value.join(lvb);
    const part = adopts ? undefined : this.#value.plan(undefined, mode, { lvb, invalidate: false });
    const submission = {
      kind,
      mode: modeNumber(mode),
      flags: flags | kept | (part?.flags ?? 0),
      bast: onBlocking !== undefined,
      name: bytes,
      lvb: undefined,
      xidLow: xid.low,
      xidHigh: xid.high,
    };
    // A request that does not queue is over before a cancel could reach it, and its lkid may be another's by then.
    this.#lkb.perform(submission, !noQueue, (completion) => {
      if (completion.status === 0) part?.done(completion);
      this.#ended(completion);
    });
  }

  /** Rejects now; what the kernel still grants is given back. */
  giveUp(reason: unknown): void {
    if (this.#givenUp) return;
    this.#givenUp = true;
    this.#removeListener?.();
    this.#lkb.cancel();
    this.#reject(reason);
  }

  /** The kernel has dropped the request without a word. */
  drop(): void {
    this.#lkb.drop();
  }

  /** The handle has lost its lockspace: whatever becomes of the request, nobody hears of it. */
  abandon(error: LockStateError): void {
    this.#givenUp = true;
    this.#removeListener?.();
    this.#reject(error);
  }

  #ended(completion: Completion): void {
    this.#removeListener?.();
    const { noQueue, kind } = this.#request;
    const { status } = completion;
    if (status === 0) {
      this.#granted(completion);
      return;
    }
    this.#lkb.free();
    this.#acquirer.onSettled(this);
    const nothing = kind === OP.adopt ? ENOENT : EAGAIN;
    if (noQueue && status === nothing) this.#resolve(null);
    else this.#reject(this.#failure(status));
  }

  #granted({ lkid, flags }: Completion): void {
    const acquirer = this.#acquirer;
    const request = this.#request;
    const mode = grantedMode(request.mode, request.flags, (flags & SBF.altMode) !== 0);
    const lock = new Lock({ acquirer, request, lkb: this.#lkb, lkid, value: this.#value }, mode, flags);
    acquirer.onGranted(lock);
    if (!this.#givenUp) {
      if (request.onBlocking) lock.listen(request.onBlocking);
      acquirer.onSettled(this);
      this.#resolve(lock);
      return;
    }
    this.#value.forget();
    // An orphan whose adoption was given up goes on being one, when the handle is closed.
    if (request.kind === OP.adopt && lock.persistent) {
      acquirer.onSettled(this);
      return;
    }
    const settled = (): void => {
      acquirer.onSettled(this);
    };
    // A given-up grant that cannot be released has nobody to tell; its handle's close ends it.
    lock.release().then(settled, settled);
  }

  #failure(errno: number): DlmError {
    const { resource, kind } = this.#request;
    const syscall = kind === OP.adopt ? "dlm_adopt" : "dlm_lock";
    return new DlmError({ errno, syscall, lockspace: this.#acquirer.name, resource });
  }
}
