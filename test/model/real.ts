// The library on the real kernel, driven by the same commands as the model.

import type { DlmError, Lock, Lockspace } from "../../lib/dlm";

import { type Command, HANDLES, type LvbChoice, SLOTS, handleOf, resourceOf } from "./commands";
import { MODES, type ModeName } from "./tables";

/** One open device. */
export interface Handle {
  readonly ls: Lockspace;
  /** Begins to close the device with all locks on it: what is left when a process ends. */
  drop(): void;
}

/** What the tests need of the node that they run on. */
export interface Bench {
  open(): Promise<Handle>;
  /** The kernel's dump of the lockspace. */
  dump(): string;
  /** Locks that the kernel lists, of whatever state. */
  locksLeft(): string[];
}

/** A request or conversion under way. */
export interface Waiting {
  readonly abort: AbortController;
  readonly mode: ModeName;
  /** It is answered without waiting. */
  readonly tries: boolean;
}

/** One place for a lock, and what is under way there. */
export class RealSlot {
  lock: Lock | undefined;
  acquiring: Waiting | undefined;
  converting: Waiting | undefined;
  readonly notices: number[] = [];
  /** Grows when the place is given up: what the former owner hears then is nobody's. */
  life = 0;
}

/** How a release ends that comes too late to write. */
const TOO_LATE = "ERR_INVALID_ARG_VALUE";

const GAVE_UP = new Error("gave up");

function words(error: unknown): string {
  if (error === GAVE_UP) return "gave up";
  const { code, name } = error as Partial<DlmError>;
  if (code === "ERR_LOCKSPACE_CLOSED") return "closed";
  if (code === "ERR_LOCK_RELEASED") return "released";
  return code ?? name ?? String(error);
}

function lvbOption(choice: LvbChoice | undefined): boolean | Uint8Array | undefined {
  if (choice === undefined) return undefined;
  return typeof choice === "number" ? Uint8Array.of(choice) : choice === "read";
}

export class Real {
  readonly slots: readonly RealSlot[] = Array.from({ length: SLOTS }, () => new RealSlot());
  /** How promises have settled since last asked. */
  outcomes: string[] = [];
  /** Handles that are being closed. */
  readonly ending: Map<number, "closed" | "dropped"> = new Map();
  readonly #bench: Bench;
  readonly #names: readonly string[];
  readonly handles: Handle[];
  #abandoned = false;

  private constructor(bench: Bench, names: readonly string[], handles: Handle[]) {
    this.#bench = bench;
    this.#names = names;
    this.handles = handles;
  }

  static async open(bench: Bench, names: readonly string[]): Promise<Real> {
    return new Real(bench, names, await Promise.all(Array.from({ length: HANDLES }, () => bench.open())));
  }

  /** Begins a command; what comes of it is heard through `outcomes`. False: it has no meaning now. */
  begin(command: Command): boolean {
    switch (command.do) {
      case "lock":
        return this.#lock(command);
      case "convert":
        return this.#convert(command);
      case "abort":
        return this.#abort(this.slot(command.slot));
      case "release":
        return this.#release(command);
      case "close":
        return this.#end(command.handle, "closed");
      case "drop":
        return this.#end(command.handle, "dropped");
    }
  }

  slot(index: number): RealSlot {
    const slot = this.slots[index];
    if (!slot) throw new RangeError(`there is no slot ${index}`);
    return slot;
  }

  handle(index: number): Handle {
    const handle = this.handles[index];
    if (!handle) throw new RangeError(`there is no handle ${index}`);
    return handle;
  }

  /** Ends everything, whatever state it is in. */
  abandon(): void {
    this.#abandoned = true;
    for (let handle = 0; handle < HANDLES; handle++) this.#forget(handle);
    for (const handle of this.handles) handle.drop();
  }

  #settle(index: number, life: number, outcome: string): boolean {
    if (this.slot(index).life !== life) return false;
    this.outcomes.push(`${index} ${outcome}`);
    return true;
  }

  #listener(index: number, life: number): (mode: string) => void {
    return (mode) => {
      if (this.slot(index).life === life) this.slot(index).notices.push(MODES.indexOf(mode as (typeof MODES)[number]));
    };
  }

  #lock(command: Command & { do: "lock" }): boolean {
    const { slot: index, mode } = command;
    const slot = this.slot(index);
    if (slot.lock || slot.acquiring || this.ending.get(handleOf(index)) === "dropped") return false;
    const { life } = slot;
    const abort = new AbortController();
    slot.acquiring = { abort, mode, tries: command.try ?? false };
    const { ls } = this.handle(handleOf(index));
    const name = this.#names[resourceOf(index)] ?? "";
    const options = {
      ...command.flags,
      mode,
      lvb: lvbOption(command.lvb),
      onBlocking: command.listen ? this.#listener(index, life) : undefined,
    };
    const request = command.try ? ls.tryLock(name, options) : ls.lock(name, { ...options, signal: abort.signal });
    request.then(
      (lock) => {
        if (!this.#settle(index, life, lock ? "granted" : "busy")) return;
        slot.acquiring = undefined;
        slot.lock = lock ?? undefined;
      },
      (error: unknown) => {
        if (this.#settle(index, life, words(error))) slot.acquiring = undefined;
      },
    );
    return true;
  }

  #convert(command: Command & { do: "convert" }): boolean {
    const { slot: index, mode, listen } = command;
    const slot = this.slot(index);
    const { lock, life } = slot;
    if (!lock || lock.released || slot.converting) return false;
    const abort = new AbortController();
    slot.converting = { abort, mode, tries: command.try ?? false };
    const onBlocking = listen === undefined ? undefined : listen ? this.#listener(index, life) : null;
    const options = { ...command.flags, lvb: lvbOption(command.lvb), onBlocking };
    const conversion = command.try
      ? lock.tryConvert(mode, options)
      : lock.convert(mode, { ...options, signal: abort.signal });
    conversion.then(
      (done) => {
        if (this.#settle(index, life, done ? "converted" : "convert busy")) slot.converting = undefined;
      },
      (error: unknown) => {
        if (this.#settle(index, life, `convert ${words(error)}`)) slot.converting = undefined;
      },
    );
    return true;
  }

  #abort(slot: RealSlot): boolean {
    const abort = (slot.acquiring ?? slot.converting)?.abort;
    if (!abort || abort.signal.aborted) return false;
    abort.abort(GAVE_UP);
    return true;
  }

  #release(command: Command & { do: "release" }): boolean {
    const { slot: index, lvb } = command;
    const slot = this.slot(index);
    const { lock, life } = slot;
    if (!lock || lock.released) return false;
    if (lvb !== undefined && !["PW", "EX"].includes(lock.mode)) return false;
    const options = typeof lvb === "number" ? { lvb: Uint8Array.of(lvb) } : { invalidateLvb: lvb === "invalidate" };
    lock.release(options).then(
      () => {
        if (this.#settle(index, life, "released")) slot.lock = undefined;
      },
      (error: unknown) => {
        const why = words(error);
        // a conversion under way has left the modes that write: the lock is gone, and nothing written
        if (this.#settle(index, life, `release ${why}`) && why === TOO_LATE) slot.lock = undefined;
      },
    );
    return true;
  }

  #end(index: number, how: "closed" | "dropped"): boolean {
    if (this.ending.has(index)) return false;
    this.ending.set(index, how);
    const handle = this.handle(index);
    // Requests hear of the close of their handle; nobody hears of its drop.
    if (how === "dropped") this.#forget(index);
    const ended = how === "closed" ? handle.ls.close() : Promise.resolve();
    if (how === "dropped") handle.drop();
    void Promise.all([this.#bench.open(), ended]).then(([opened]) => {
      this.#forget(index);
      if (this.#abandoned) {
        opened.drop();
        return;
      }
      this.handles[index] = opened;
      this.ending.delete(index);
      this.outcomes.push(`handle ${index} ${how}`);
    });
    return true;
  }

  #forget(handle: number): void {
    this.slots.forEach((slot, index) => {
      if (handleOf(index) !== handle) return;
      slot.life++;
      slot.lock = slot.acquiring = slot.converting = undefined;
    });
  }
}
