import type { NativeChannel } from "../native";

/** Operations of csrc/dlm/codec.h:OpKind. */
export const OP = { lock: 0, convert: 1, unlock: 2, cancel: 3 } as const;
export type OpKind = (typeof OP)[keyof typeof OP];

// csrc/dlm/channel.h:EventKind
const EVENT = { cast: 0, bast: 1, writeFailed: 2, cancelledHere: 3 } as const;

// csrc/napi/channel_wrap.cc: eight 32-bit fields, then the value block.
const RECORD = { size: 64, words: 16, lvb: 32, lvbSize: 32, count: 512 } as const;

/** -DLM_ECANCEL and -DLM_EUNLOCK of include/uapi/linux/dlm.h, as they stand in a status. */
export const ECANCEL = -0x10001;
export const EUNLOCK = -0x10002;

/** How an operation ended. */
export interface Completion {
  /** 0, a negative errno, ECANCEL or EUNLOCK. */
  status: number;
  /** DLM_SBF_*. */
  flags: number;
  lkid: number;
  lvb: Uint8Array | undefined;
}

/** What a slot's owner hears. */
export interface SlotOwner {
  onCompletion(completion: Completion): void;
  onBlocking(mode: number): void;
}

export interface Submission {
  kind: OpKind;
  mode: number;
  /** DLM_LKF_* besides CONVERT and CANCEL, which follow from the kind. */
  flags: number;
  bast: boolean;
  name?: Uint8Array | undefined;
  lvb?: Uint8Array | undefined;
}

/**
 * The typed face of one native channel: hands out slots, sends submissions, and gives each event to the owner of its
 * slot. An event of an earlier owner of the slot is told by its generation and dropped.
 */
export class Channel {
  readonly #native: NativeChannel;
  readonly #records = new ArrayBuffer(RECORD.size * RECORD.count);
  readonly #words = new Int32Array(this.#records);
  readonly #owners: (SlotOwner | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  readonly #inFlight = new Set<number>();
  #listeners = 0;
  #refd = true;
  #broken = 0;
  #closing: Promise<void> | undefined;
  #onClosed: (() => void) | undefined;

  constructor(native: NativeChannel) {
    this.#native = native;
    native.start(this.#records, (count, closed, errno) => {
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
    return slot;
  }

  /** Only after the slot's last operation has completed. */
  release(slot: number): void {
    this.#owners[slot] = undefined;
    this.#free.push(slot);
  }

  submit(slot: number, op: Submission): void {
    if (op.kind !== OP.cancel) {
      this.#inFlight.add(slot);
      if (this.#inFlight.size === 1) this.#updateRef();
    }
    if (this.#broken !== 0) {
      // The device is gone: the operation fails as the kernel would have failed it.
      if (op.kind !== OP.cancel)
        queueMicrotask(() => {
          this.#complete(slot, this.#failure());
        });
      return;
    }
    const generation = this.#generations[slot] ?? 0;
    this.#native.submit(op.kind, slot, generation, op.mode, op.flags, op.bast, op.name, op.lvb);
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

  /** Drops every lock of the handle; resolves when the kernel has closed it. */
  close(): Promise<void> {
    return (this.#closing ??= new Promise((resolve) => {
      this.#onClosed = resolve;
      this.#native.close();
    }));
  }

  #updateRef(): void {
    this.#native.setRef(this.#refd && (this.#inFlight.size > 0 || this.#listeners > 0));
  }

  #failure(): Completion {
    return { status: -this.#broken, flags: 0, lkid: 0, lvb: undefined };
  }

  #complete(slot: number, completion: Completion): void {
    if (!this.#inFlight.delete(slot)) return;
    if (this.#inFlight.size === 0) this.#updateRef();
    this.#owners[slot]?.onCompletion(completion);
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
    if (errno !== 0) this.#break(errno);
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
    const start = index * RECORD.size + RECORD.lvb;
    this.#complete(slot, {
      status: kind === EVENT.cancelledHere ? ECANCEL : (words[at + 3] ?? 0),
      flags: words[at + 4] ?? 0,
      lkid: (words[at + 6] ?? 0) >>> 0,
      lvb: words[at + 7] === 1 ? new Uint8Array(this.#records.slice(start, start + RECORD.lvbSize)) : undefined,
    });
  }

  #break(errno: number): void {
    this.#broken = errno;
    for (const slot of [...this.#inFlight]) this.#complete(slot, this.#failure());
  }
}
