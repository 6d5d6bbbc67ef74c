import type { NativeChannel } from "../native";

import { OP, type OpKind, RequestBuffer, type Submission } from "./request-buffer";

// csrc/dlm/channel.h:EventKind
const EVENT = { cast: 0, bast: 1, writeFailed: 2, cancelledHere: 3, done: 4 } as const;

// csrc/napi/channel_wrap.cc: eight 32-bit fields, then the value block.
const RECORD = { size: 64, words: 16, lvb: 32, lvbSize: 32, count: 512 } as const;

/** -DLM_ECANCEL and -DLM_EUNLOCK of include/uapi/linux/dlm.h, as they stand in a status. */
export const ECANCEL = -0x10001;
export const EUNLOCK = -0x10002;
const ESHUTDOWN = -108;

/** How an operation ended. Valid only while it is being handed over: the next one is written over it. */
export interface Completion {
  /** 0, a negative errno, ECANCEL or EUNLOCK. */
  status: number;
  /** DLM_SBF_*. */
  flags: number;
  lkid: number;
  lvb: Uint8Array | undefined;
  /** The kernel did not even take the operation: its kind. */
  refused: OpKind | undefined;
}

/** What a slot's owner hears. */
export interface SlotOwner {
  onCompletion(completion: Completion): void;
  onBlocking(mode: number): void;
}

/**
 * The typed face of one native channel: hands out slots, sends submissions, and gives each event to the owner of its
 * slot. An event of an earlier owner of the slot is told by its generation and dropped.
 */
export class Channel {
  readonly #native: NativeChannel;
  readonly #records = new ArrayBuffer(RECORD.size * RECORD.count);
  readonly #words = new Int32Array(this.#records);
  readonly #requests: RequestBuffer;
  readonly #completion: Completion = { status: 0, flags: 0, lkid: 0, lvb: undefined, refused: undefined };
  readonly #owners: (SlotOwner | undefined)[] = [];
  readonly #generations: number[] = [];
  // Operations in flight of each slot: one, or two when an unlock by force overtakes another.
  readonly #flying: number[] = [];
  readonly #free: number[] = [];
  #inFlight = 0;
  #listeners = 0;
  #refd = true;
  #keepsAlive = false;
  #broken = 0;
  #closing: Promise<void> | undefined;
  #onClosed: (() => void) | undefined;

  /** Called once, when the device cannot be read any more, with the negative errno. What is in flight fails with it. */
  onBroken: ((errno: number) => void) | undefined;

  constructor(native: NativeChannel) {
    this.#native = native;
    this.#requests = new RequestBuffer((count) => {
      native.submit(count);
    });
    native.start(this.#records, this.#requests.bytes, (count, closed, errno) => {
      this.#dispatch(count, closed, errno);
    });
    native.setRef(false);
  }

  get path(): string {
    return this.#native.path;
  }

  allocate(owner: SlotOwner): number {
    const slot = this.#free.pop() ?? this.#owners.length;
    this.#owners[slot] = owner;
    // 1 … 2^31-1: zero would be ignored by the kernel, more would not fit a signed word
    this.#generations[slot] = ((this.#generations[slot] ?? 0) % 0x7fffffff) + 1;
    this.#flying[slot] = 0;
    return slot;
  }

  /** Only after the slot's last operation has completed. */
  release(slot: number): void {
    this.#owners[slot] = undefined;
    this.#free.push(slot);
  }

  /** The owner of a slot, unless it has passed to another since. */
  ownerOf(slot: number, generation: number): SlotOwner | undefined {
    return this.#generations[slot] === generation ? this.#owners[slot] : undefined;
  }

  /** Sends an operation that ends in a completion. */
  submit(slot: number, op: Submission): void {
    this.#flying[slot] = (this.#flying[slot] ?? 0) + 1;
    this.#inFlight++;
    this.#updateRef();
    if (this.#broken !== 0 || this.#closing) {
      // The device is gone: the operation fails as the kernel would have failed it.
      const generation = this.#generations[slot] ?? 0;
      process.nextTick(() => {
        if (this.ownerOf(slot, generation)) this.#fail(slot, this.#broken || ESHUTDOWN);
      });
      return;
    }
    this.#requests.put(slot, this.#generations[slot] ?? 0, op);
  }

  /** Sends what has no completion of its own: a cancel. */
  send(slot: number, op: Submission): void {
    if (this.#broken === 0 && !this.#closing) this.#requests.put(slot, this.#generations[slot] ?? 0, op);
  }

  /** Ends what a slot has in flight, which the kernel has dropped without a word. */
  drop(slot: number): void {
    if ((this.#flying[slot] ?? 0) > 0) this.#fail(slot, EUNLOCK);
  }

  /** Counts who waits for blocking notices: a process that does is not idle. */
  listen(change: 1 | -1): void {
    this.#listeners += change;
    this.#updateRef();
  }

  setRef(on: boolean): void {
    this.#refd = on;
    this.#updateRef();
  }

  /**
   * Drops every lock of the handle; resolves when the kernel has closed it, which keeps the process alive unless
   * `idly`: then the process need not wait for it.
   */
  close(idly = false): Promise<void> {
    return (this.#closing ??= new Promise((resolve) => {
      if (this.#broken === 0) this.#requests.flush();
      this.#onClosed = resolve;
      this.#native.close(!idly);
    }));
  }

  #updateRef(): void {
    const wanted = this.#refd && (this.#inFlight > 0 || this.#listeners > 0);
    if (wanted === this.#keepsAlive) return;
    this.#keepsAlive = wanted;
    this.#native.setRef(wanted);
  }

  #complete(slot: number): void {
    const flying = this.#flying[slot] ?? 0;
    if (flying === 0) return;
    // the lock's end is the end of whatever else it had in flight
    const ended = this.#completion.status === EUNLOCK ? flying : 1;
    this.#flying[slot] = flying - ended;
    this.#inFlight -= ended;
    this.#owners[slot]?.onCompletion(this.#completion);
    if (this.#inFlight === 0) this.#updateRef();
  }

  #fail(slot: number, status: number): void {
    Object.assign(this.#completion, { status, flags: 0, lkid: 0, lvb: undefined, refused: undefined });
    this.#complete(slot);
  }

  // The one entry from native code; whatever a listener throws is not allowed to cost another lock its event.
  #dispatch(count: number, closed: boolean, errno: number): void {
    for (let i = 0; i < count; i++) {
      try {
        this.#deliver(i);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
    if (errno !== 0) this.#break(-errno);
    if (closed) this.#onClosed?.();
  }

  #deliver(index: number): void {
    const at = index * RECORD.words;
    const words = this.#words;
    const slot = words[at + 1] ?? 0;
    if (this.#generations[slot] !== words[at + 2]) return;
    const kind = words[at];
    if (kind === EVENT.bast) {
      this.#owners[slot]?.onBlocking(words[at + 5] ?? 0);
      return;
    }
    const completion = this.#completion;
    const start = index * RECORD.size + RECORD.lvb;
    completion.status = kind === EVENT.cancelledHere ? ECANCEL : (words[at + 3] ?? 0);
    completion.flags = words[at + 4] ?? 0;
    completion.lkid = (words[at + 6] ?? 0) >>> 0;
    completion.refused = kind === EVENT.writeFailed ? (words[at + 5] as OpKind) : undefined;
    if (kind === EVENT.cancelledHere) completion.refused = OP.convert;
    completion.lvb =
      words[at + 7] === 1 ? new Uint8Array(this.#records.slice(start, start + RECORD.lvbSize)) : undefined;
    this.#complete(slot);
  }

  #break(errno: number): void {
    if (this.#broken !== 0) return;
    this.onBroken?.(errno);
    this.abandon(errno);
  }

  /** Fails what is in flight, and what comes, as if the kernel had answered with this negative errno. */
  abandon(errno: number = ESHUTDOWN): void {
    this.#broken ||= errno;
    this.#requests.clear();
    for (let slot = 0; slot < this.#owners.length; slot++) {
      while ((this.#flying[slot] ?? 0) > 0) this.#fail(slot, this.#broken);
    }
  }
}
