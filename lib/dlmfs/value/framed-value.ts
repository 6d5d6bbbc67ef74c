import { checkObject, checkSignal, checkUint32 } from "../../checks";
import { LockStateError, invalidType, invalidValue } from "../../errors";

import {
  type FrameKind,
  type FrameMark,
  U64_MAX,
  checkNumber,
  checkPayload,
  decodeFrame,
  encodeFrame,
  encodeLoss,
  markOf,
  newEpoch,
} from "./frame";
import { Line } from "./line";
import { type ValueDomain, type ValueLock, readBlock } from "./locks";
import { type FramedReading, Memory } from "./memory";

export interface FramedValueOptions {
  /**
   * How far the value had come when it was last seen, from wherever that was kept: the `last` of an object like this
   * one. Without it the first zeros seen are `empty`, not `lost`.
   */
  last?: FrameMark | undefined;
  /** What is in the value block: `bytes` (default), or what a `DomainCounter` writes. */
  kind?: FrameKind | undefined;
}

export interface AcquireOptions {
  signal?: AbortSignal | undefined;
}

// A lock that was dropped is invalid again only when another node has died in between.
const ATTEMPTS = 3;

/** From a reading under a lock to the lock's release. */
interface Hold {
  /** In another mode it is another hold: a lock of a domain changes its mode by closing and opening again. */
  mode: "PR" | "EX";
  state: FramedReading["state"];
  /** The value to go on from; undefined where there is none. */
  at: FrameMark | undefined;
  /** What the kernel handed out; undefined where it says that the value is lost. */
  found: Uint8Array | undefined;
}

/**
 * A value of up to 40 bytes that tells when it was lost.
 *
 * The value block of a lock outlives neither the last of its users nor the death of some. This object remembers the
 * last frame that it saw in the value block of one lock, and by it tells a value that goes on from one that is lost,
 * older, or begun anew. Have one such object for each value in a process, as long as the process lives: what it has not
 * seen it cannot miss. Its methods may be called at any time; they run one after the other.
 */
export class FramedValue {
  readonly #memory: Memory;
  readonly #kind: FrameKind;
  readonly #holds = new WeakMap<ValueLock, Hold>();
  #name: string | undefined;
  readonly #turns = new Line();
  // A lock that others of the process stand in line for is not dropped at its release: they wait here until it is good.
  readonly #acquisitions = new Line();

  /** @throws {TypeError | RangeError} a wrong option */
  constructor(options?: FramedValueOptions) {
    const given = checkObject(options);
    this.#memory = new Memory(checkMark(given["last"]));
    this.#kind = checkKind(given["kind"]);
  }

  /** How far the value had come when it was last seen: worth keeping elsewhere, for the `last` of a later process. */
  get last(): FrameMark | undefined {
    return this.#memory.last && { ...this.#memory.last };
  }

  /**
   * Takes a lock in EX and reads its value, so that it can be written. Where the kernel says that the value is lost, it
   * would go on to say so to this node whatever was written: then the lock is dropped and taken again.
   *
   * @param options `signal` ends the wait for the lock
   * @returns the lock, for its caller to release, and the reading under it
   * @throws {TypeError} a wrong option
   * @throws {LockStateError} ERR_LVB_INVALID: somebody of this node, not of this library, kept the lock from being dropped
   * @throws as `lock()` of the domain, and `read()`
   */
  async acquire<L extends ValueLock>(
    domain: ValueDomain<L>,
    name: string,
    options?: AcquireOptions,
  ): Promise<{ lock: L; reading: FramedReading }> {
    const signal = checkSignal(checkObject(options)["signal"]);
    signal?.throwIfAborted();
    return this.#acquisitions.join(signal, () => this.#acquire(domain, name, signal));
  }

  async #acquire<L extends ValueLock>(
    domain: ValueDomain<L>,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<{ lock: L; reading: FramedReading }> {
    for (let attempt = 1; ; attempt++) {
      const lock = await domain.lock(name, { mode: "EX", ...(signal ? { signal } : {}) });
      let done = false;
      try {
        const reading = await this.read(lock);
        done = this.#holdOf(lock)?.found !== undefined;
        if (done) return { lock, reading };
        if (attempt === ATTEMPTS)
          throw invalid(lock, "somebody of this node has it open, and kept it from being dropped");
      } finally {
        if (!done) await lock.release();
      }
    }
  }

  /**
   * Reads the value under a lock, held in PR or EX.
   *
   * Where the kernel says that the value is lost, a reading under EX writes: a mark of the loss, which all others then
   * read. Else the release would hand them the kernel's last bytes as valid ones. Source: fs/dlm/lock.c,
   * `set_lvb_lock()`. It also has the lock dropped at its release.
   *
   * @throws {RangeError} the lock is not the one of the readings before
   * @throws as `readLvb()` and `writeLvb()` of the lock, but for ERR_LVB_INVALID
   */
  read(lock: ValueLock): Promise<FramedReading> {
    return this.#inTurn(lock, async () => {
      const { mode } = lock;
      const found = await readBlock(lock);
      const reading = this.#memory.judge(found && decodeFrame(found, this.#kind));
      if (found === undefined && mode === "EX") {
        await lock.writeLvb(encodeLoss(this.#memory.last));
        lock.dropOnRelease();
      }
      const { state } = reading;
      const at = state === "ok" || state === "reset" ? this.#memory.last : undefined;
      this.#holds.set(lock, { mode, state, at, found });
      return reading;
    });
  }

  /**
   * Writes the value that follows the one that was read under this hold of the lock. Other nodes see it when they get the
   * lock, not when this resolves: the death of this node before that loses it.
   *
   * @param lock held in EX, its value read
   * @param payload at most 40 bytes
   * @returns how far the value has come
   * @throws {TypeError | RangeError} a payload or lock that will not do
   * @throws {LockStateError} ERR_LVB_UNREAD: not read under this hold, or changed since; ERR_LVB_LOST: the reading was
   *   neither `ok` nor `reset`, so that there is nothing to follow: `initialise()` it; ERR_LVB_INVALID: as `initialise()`
   */
  async write(lock: ValueLock, payload: Uint8Array): Promise<FrameMark> {
    const bytes = checkPayload(payload, this.#kind);
    return this.#inTurn(lock, async () => {
      const hold = await this.#unchangedHold(lock);
      if (!hold.at) {
        throw new LockStateError(
          "ERR_LVB_LOST",
          `the value of lock '${lock.name}' was read as ${hold.state}: initialise() it, if that is what is wanted`,
        );
      }
      const { epoch } = hold.at;
      const sequence = this.#memory.sequenceAfter(hold.at.sequence);
      if (sequence > U64_MAX) {
        throw new LockStateError(
          "ERR_LVB_LOST",
          `the sequence of lock '${lock.name}' is used up: initialise() begins anew`,
        );
      }
      return this.#put(lock, hold, encodeFrame({ kind: this.#kind, epoch, sequence, payload: bytes }));
    });
  }

  /**
   * Begins the value anew, whatever it was read as: in a new epoch, its sequence above the highest that is known.
   * Everybody who remembers the former value reads `reset`.
   *
   * @param lock held in EX, its value read
   * @param payload at most 40 bytes
   * @returns how far the value has come
   * @throws {TypeError | RangeError} a payload or lock that will not do
   * @throws {LockStateError} ERR_LVB_UNREAD: not read under this hold, or changed since; ERR_LVB_INVALID: the kernel
   *   would go on to call the value lost on this node, so the lock has to be dropped first. `acquire()` does
   */
  async initialise(lock: ValueLock, payload: Uint8Array): Promise<FrameMark> {
    const bytes = checkPayload(payload, this.#kind);
    return this.#inTurn(lock, async () => {
      const hold = await this.#unchangedHold(lock);
      const epoch = newEpoch(this.#memory.epochs);
      const sequence = this.#memory.sequenceAfter(0n);
      return this.#put(lock, hold, encodeFrame({ kind: this.#kind, epoch, sequence, payload: bytes }));
    });
  }

  async #put(lock: ValueLock, hold: Hold, block: Uint8Array): Promise<FrameMark> {
    // whether a write that failed has changed the block nobody knows
    this.#holds.delete(lock);
    await lock.writeLvb(block);
    const at = markOf(block);
    this.#memory.remember(at);
    this.#holds.set(lock, { mode: hold.mode, state: "ok", at, found: block });
    return { ...at };
  }

  #holdOf(lock: ValueLock): Hold | undefined {
    const hold = this.#holds.get(lock);
    return hold?.mode === lock.mode ? hold : undefined;
  }

  // The mode does not tell every hold from the next: a lock may have been downgraded and upgraded again.
  async #unchangedHold(lock: ValueLock): Promise<Hold> {
    if (lock.mode !== "EX") throw invalidValue("lock", `is held in ${lock.mode}; to write takes EX`);
    const hold = this.#holdOf(lock);
    if (!hold) throw unread(lock, "was not read under this hold");
    if (!hold.found) throw invalid(lock, "release it, which drops it, and take it again: acquire() does");
    const found = await readBlock(lock);
    if (!found || Buffer.compare(found, hold.found) !== 0) throw unread(lock, "has changed since it was read");
    return hold;
  }

  async #inTurn<T>(lock: ValueLock, task: () => Promise<T>): Promise<T> {
    const { name } = lock;
    this.#name ??= name;
    if (name !== this.#name) throw invalidValue("lock", `is '${name}'; this value is that of lock '${this.#name}'`);
    return this.#turns.join(undefined, task);
  }
}

function unread(lock: ValueLock, why: string): LockStateError {
  return new LockStateError("ERR_LVB_UNREAD", `the value of lock '${lock.name}' ${why}: read() it, then decide again`);
}

function invalid(lock: ValueLock, why: string): LockStateError {
  return new LockStateError("ERR_LVB_INVALID", `the kernel says that the value of lock '${lock.name}' is lost: ${why}`);
}

function checkMark(mark: unknown): FrameMark | undefined {
  if (mark === undefined) return undefined;
  if (typeof mark !== "object" || mark === null) throw invalidType("options.last", "an object", mark);
  const { epoch, sequence, checksum } = mark as Record<string, unknown>;
  return {
    epoch: checkNumber(epoch, "options.last.epoch", 1n),
    sequence: checkNumber(sequence, "options.last.sequence", 0n),
    ...(checksum === undefined ? {} : { checksum: checkUint32(checksum, "options.last.checksum") }),
  };
}

function checkKind(kind: unknown): FrameKind {
  if (kind === undefined) return "bytes";
  if (kind === "bytes" || kind === "counter") return kind;
  if (typeof kind !== "string") throw invalidType("options.kind", "a string", kind);
  throw invalidValue("options.kind", `is '${kind}'; bytes or counter are expected`);
}
