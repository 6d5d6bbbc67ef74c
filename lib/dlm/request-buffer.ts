/** Operations of csrc/dlm/codec.h:OpKind. */
export const OP = {
  lock: 0,
  convert: 1,
  unlock: 2,
  cancel: 3,
  deadlock: 4,
  adopt: 5,
  purge: 6,
  dropAll: 7,
  find: 8,
} as const;
export type OpKind = (typeof OP)[keyof typeof OP];

/** One operation on its way to the kernel. */
export interface Submission {
  kind: OpKind;
  /** The kernel's number of a mode: lock, convert, adopt. */
  mode?: number;
  /** DLM_LKF_* besides CONVERT, CANCEL and ORPHAN, which follow from the kind. */
  flags?: number;
  /** Ask for blocking notices: lock, convert, adopt. */
  bast?: boolean;
  name?: Uint8Array | undefined;
  lvb?: Uint8Array | undefined;
  /** The two halves of the user's tag: lock, convert, adopt. */
  xidLow?: number;
  xidHigh?: number;
  /** Of find. */
  lkid?: number;
  /** Of purge. */
  nodeid?: number;
  pid?: number;
}

// csrc/napi/channel_wrap.cc: twelve 32-bit fields, the value block, the resource's name.
const REQUEST = { size: 144, words: 36, doubles: 18, lvb: 48, name: 80, count: 256 } as const;

/**
 * Gathers what one turn of the event loop submits and sends it in one go: one crossing into native code, and one
 * wake-up of the submitter, for many requests.
 */
export class RequestBuffer {
  readonly bytes: ArrayBuffer = new ArrayBuffer(REQUEST.size * REQUEST.count);
  readonly #words = new Uint32Array(this.bytes);
  readonly #doubles = new Float64Array(this.bytes);
  readonly #octets = new Uint8Array(this.bytes);
  readonly #send: (count: number) => void;
  readonly #flushLater = (): void => {
    this.flush();
  };
  #count = 0;

  constructor(send: (count: number) => void) {
    this.#send = send;
  }

  put(slot: number, generation: number, op: Submission): void {
    const { name, lvb } = op;
    const words = this.#words;
    const at = this.#count * REQUEST.words;
    const start = this.#count * REQUEST.size;
    words[at] = op.kind;
    words[at + 1] = slot;
    words[at + 2] = generation;
    words[at + 3] = op.mode ?? 0;
    words[at + 4] = op.flags ?? 0;
    words[at + 5] = op.bast === true ? 1 : 0;
    words[at + 6] = name?.length ?? 0;
    words[at + 7] = op.lkid ?? 0;
    words[at + 8] = op.xidLow ?? 0;
    words[at + 9] = op.xidHigh ?? 0;
    words[at + 10] = op.nodeid ?? 0;
    words[at + 11] = op.pid ?? 0;
    const octets = this.#octets;
    if (lvb) octets.set(lvb, start + REQUEST.lvb);
    else this.#clearLvb(this.#count * REQUEST.doubles + REQUEST.lvb / 8);
    if (name) for (let i = 0; i < name.length; i++) octets[start + REQUEST.name + i] = name[i] ?? 0;
    this.#count++;
    if (this.#count === REQUEST.count) this.flush();
    // when all promises that the current events have settled have been followed up
    else if (this.#count === 1) process.nextTick(this.#flushLater);
  }

  #clearLvb(at: number): void {
    const doubles = this.#doubles;
    doubles[at] = 0;
    doubles[at + 1] = 0;
    doubles[at + 2] = 0;
    doubles[at + 3] = 0;
  }

  /** Sends nothing of it any more. */
  clear(): void {
    this.#count = 0;
  }

  flush(): void {
    const count = this.#count;
    this.#count = 0;
    if (count > 0) this.#send(count);
  }
}
