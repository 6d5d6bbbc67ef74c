// What must become of a sequence of commands: the kernel's queues, and what each caller is told. One command at a time.

import { type Command, RESOURCES, SLOTS, handleOf, resourceOf } from "./commands";
import type { KernelEvent } from "./granting";
import { type Delivery, LockValue } from "./lock-value";
import { cancel, convert, drop, request, unlock } from "./operations";
import { KernelLock, type Request, Resource } from "./queues";
import { IV, NL, PR, compatible, goesDown, mayQueueConversion, modeNumber, valueDirection } from "./tables";

interface Conversion {
  readonly from: number;
  readonly to: number;
  readonly done: (delivery: Delivery) => void;
  /** Its caller has been told that it is over, and the grant that crossed is to be undone. */
  givenUp?: boolean;
}

/** A place for one lock; its handle and resource never change. */
export class Slot {
  readonly index: number;
  readonly handle: number;
  readonly resource: Resource;
  state: "free" | "acquiring" | "held" = "free";
  kernel: KernelLock | undefined;
  mode: number = IV;
  value: LockValue = new LockValue();
  listens = false;
  demoted = false;
  altered = false;
  /** Its caller has been told that the request is over; a grant may still cross that. */
  givenUp = false;
  conversion: Conversion | undefined;
  /** What the request does with its value once it is granted. */
  onGrant: ((delivery: Delivery) => void) | undefined;
  /** The last notice since the last completion: newer kernels leave out what says no more, even if it has been read. */
  lastNotice: number = IV;

  constructor(index: number, resource: Resource) {
    this.index = index;
    this.handle = handleOf(index);
    this.resource = resource;
  }

  clear(): void {
    this.state = "free";
    this.kernel = undefined;
    this.mode = IV;
    this.value = new LockValue();
    this.listens = false;
    this.demoted = false;
    this.altered = false;
    this.givenUp = false;
    this.conversion = undefined;
    this.lastNotice = IV;
  }
}

/** What one command must lead to. */
export interface Expected {
  /** How promises settle, in any order. */
  readonly outcomes: string[];
  readonly notices: readonly { readonly allowed: ReadonlySet<number>; readonly due: number }[];
}

interface Heard {
  readonly allowed: Set<number>;
  due: number;
}

export class DlmModel {
  readonly resources: readonly Resource[];
  readonly slots: readonly Slot[];
  readonly #slotOf = new Map<KernelLock, Slot>();
  #outcomes: string[] = [];
  #heard: Heard[] = [];

  constructor(names: readonly string[]) {
    this.resources = Array.from({ length: RESOURCES }, (_, index) => new Resource(names[index] ?? String(index)));
    this.slots = Array.from({ length: SLOTS }, (_, index) => new Slot(index, this.#resource(resourceOf(index))));
  }

  /** Locks that a handle holds, and requests that it waits for. */
  count(handle: number, state: "held" | "acquiring"): number {
    return this.slots.filter((slot) => slot.handle === handle && slot.state === state).length;
  }

  /** Carries out a command; undefined when it has no meaning now. */
  apply(command: Command): Expected | undefined {
    this.#outcomes = [];
    this.#heard = this.slots.map(() => ({ allowed: new Set<number>(), due: IV }));
    this.#allowBlocked();
    if (!this.#carryOut(command)) return undefined;
    this.#allowBlocked();
    return { outcomes: this.#outcomes, notices: this.#heard };
  }

  #resource(index: number): Resource {
    const found = this.resources[index];
    if (!found) throw new RangeError(`there is no resource ${index}`);
    return found;
  }

  #slot(index: number): Slot {
    const found = this.slots[index];
    if (!found) throw new RangeError(`there is no slot ${index}`);
    return found;
  }

  // A notice may speak of anything that waits, as long as the lock is in its way.
  #allowBlocked(): void {
    for (const { index, resource, state, mode } of this.slots) {
      if (state !== "held") continue;
      for (const { requested } of [...resource.converting, ...resource.waiting]) {
        if (!compatible(mode, requested)) this.#heard[index]?.allowed.add(requested);
      }
    }
  }

  #carryOut(command: Command): boolean {
    switch (command.do) {
      case "lock":
        return this.#lock(this.#slot(command.slot), command);
      case "convert":
        return this.#convert(this.#slot(command.slot), command);
      case "abort":
        return this.#abort(this.#slot(command.slot));
      case "release":
        return this.#release(this.#slot(command.slot), command.lvb);
      case "close":
        return this.#close(command.handle);
      case "drop":
        return this.#drop(command.handle);
    }
  }

  #lock(slot: Slot, command: Command & { do: "lock" }): boolean {
    const { flags = {} } = command;
    const { altMode, expedite } = flags;
    // the API refuses what means nothing
    if (command.try ? (flags.headQueue ?? expedite) : flags.notifyHolders) return false;
    if (slot.state !== "free" || altMode === command.mode || (expedite && command.mode !== "NL")) return false;
    const mode = modeNumber(command.mode);
    const { use, done } = slot.value.plan(IV, mode, command.lvb);
    slot.state = "acquiring";
    slot.listens = command.listen ?? false;
    slot.onGrant = done;
    const kernel = this.#newLock(slot, {
      mode,
      value: use,
      listens: slot.listens,
      noQueue: command.try,
      noQueueBast: flags.notifyHolders,
      headQueue: flags.headQueue,
      noOrder: flags.noOrder,
      expedite,
      altMode,
    });
    request(slot.resource, kernel, this.#tell);
    return true;
  }

  #newLock(slot: Slot, asked: Request): KernelLock {
    const kernel = new KernelLock(slot.resource, slot.handle, asked);
    slot.kernel = kernel;
    this.#slotOf.set(kernel, slot);
    return kernel;
  }

  #convert(slot: Slot, command: Command & { do: "convert" }): boolean {
    const { kernel } = slot;
    if (slot.state !== "held" || !kernel || slot.conversion) return false;
    const from = slot.mode;
    const to = modeNumber(command.mode);
    const { flags = {} } = command;
    // the API refuses what means nothing
    if (command.try ? (flags.headQueue ?? flags.deadlock) : flags.notifyHolders) return false;
    if (flags.queue && !mayQueueConversion(from, to)) return false;
    if (flags.invalidateLvb && valueDirection(from, to) !== "write") return false;
    if (command.listen !== undefined) slot.listens = command.listen;
    const { use, done } = flags.invalidateLvb ? slot.value.planInvalidation() : slot.value.plan(from, to, command.lvb);
    slot.conversion = { from, to, done };
    kernel.ask({
      mode: to,
      value: use,
      listens: slot.listens,
      noQueue: command.try,
      noQueueBast: flags.notifyHolders,
      queueConvert: flags.queue,
      headQueue: flags.headQueue,
      noOrder: flags.noOrder,
      deadlock: flags.deadlock,
    });
    convert(slot.resource, kernel, this.#tell);
    return true;
  }

  #abort(slot: Slot): boolean {
    const { kernel } = slot;
    if (!kernel || (slot.state !== "acquiring" && !slot.conversion)) return false;
    this.#outcomes.push(slot.state === "acquiring" ? `${slot.index} gave up` : `${slot.index} convert gave up`);
    this.#cancel(slot, kernel);
    return true;
  }

  // A conversion that may have lost its old mode on the way is taken to NL: the kernel's word on that is gone.
  #cancel(slot: Slot, kernel: KernelLock): void {
    const mayBeDemoted = slot.state === "held" && kernel.request.deadlock === "demote";
    cancel(slot.resource, kernel, this.#tell);
    if (!mayBeDemoted) return;
    kernel.ask({ mode: NL, value: { takesPart: false }, listens: slot.listens });
    slot.mode = NL;
    slot.demoted = false;
    slot.altered = false;
    convert(slot.resource, kernel, this.#tell);
  }

  #release(slot: Slot, lvb: number | "invalidate" | undefined): boolean {
    if (slot.state !== "held") return false;
    // the API refuses it
    const refused = slot.conversion && slot.kernel?.request.deadlock === "demote";
    if (lvb !== undefined && (refused || slot.value.atRelease(slot.mode, lvb) === undefined)) return false;
    this.#giveUpConversion(slot);
    this.#unlock(slot, slot.value.atRelease(slot.mode, lvb));
    this.#outcomes.push(`${slot.index} released`);
    return true;
  }

  #giveUpConversion(slot: Slot): void {
    const { conversion, kernel } = slot;
    slot.listens = false;
    if (!conversion || !kernel) return;
    if (kernel.queue === "converting") this.#cancel(slot, kernel);
    this.#outcomes.push(`${slot.index} convert released`);
  }

  #unlock(slot: Slot, write: Uint8Array | "invalidate" | undefined): void {
    const { kernel } = slot;
    if (!kernel) return;
    this.#slotOf.delete(kernel);
    unlock(slot.resource, kernel, write, this.#tell);
    slot.clear();
  }

  // Everything that waits is given up first, in the order in which it was asked for; then all is released.
  #close(handle: number): boolean {
    // Some requests are granted by the first chance that comes, and the order of releases is nobody's promise.
    const queued = this.resources.flatMap(({ converting, waiting }) => [...converting, ...waiting]);
    if (queued.some(({ request: { noOrder, altMode, deadlock } }) => noOrder ?? altMode ?? deadlock)) return false;
    const mine = this.slots.filter((slot) => slot.handle === handle);
    // a notice is due to nobody any more
    for (const slot of mine) slot.listens = false;
    const waiting = this.#byAge(mine.filter((slot) => slot.state === "acquiring"));
    for (const slot of waiting) {
      slot.givenUp = true;
      this.#outcomes.push(`${slot.index} closed`);
    }
    for (const slot of waiting) if (slot.kernel) cancel(slot.resource, slot.kernel, this.#tell);
    for (const slot of waiting) if (slot.kernel?.queue === "granted") this.#unlock(slot, undefined);
    const held = this.#byAge(mine.filter((slot) => slot.state === "held"));
    for (const slot of held) if (slot.conversion) slot.conversion.givenUp = true;
    for (const slot of held) if (slot.conversion) this.#giveUpConversion(slot);
    for (const slot of held) this.#unlock(slot, slot.value.atRelease(slot.mode, undefined));
    this.#outcomes.push(`handle ${handle} closed`);
    return true;
  }

  #drop(handle: number): boolean {
    const mine = this.#byAge(this.slots.filter((slot) => slot.handle === handle && slot.state !== "free"));
    for (const { kernel } of mine) if (kernel) this.#slotOf.delete(kernel);
    for (const slot of mine) {
      if (slot.kernel) drop(slot.resource, slot.kernel, this.#tell);
      slot.clear();
    }
    this.#outcomes.push(`handle ${handle} dropped`);
    return true;
  }

  #byAge(slots: Slot[]): Slot[] {
    const ages = [...this.#slotOf.keys()];
    const age = ({ kernel }: Slot): number => (kernel ? ages.indexOf(kernel) : -1);
    return slots.sort((a, b) => age(a) - age(b));
  }

  readonly #tell = (event: KernelEvent): void => {
    const slot = this.#slotOf.get(event.lock);
    if (!slot) return;
    if (event.kind === "notice") this.#notice(slot, event.mode);
    else this.#complete(slot, event);
  };

  #notice(slot: Slot, mode: number): void {
    const heard = this.#heard[slot.index];
    if (!heard || slot.state !== "held" || !slot.listens || compatible(slot.mode, mode)) return;
    heard.allowed.add(mode);
    const { lastNotice } = slot;
    if (lastNotice === mode || (lastNotice > mode && lastNotice > PR)) return;
    slot.lastNotice = mode;
    heard.due = Math.max(heard.due, mode);
  }

  #complete(slot: Slot, event: KernelEvent & { kind: "completion" }): void {
    slot.lastNotice = IV;
    if (slot.state === "acquiring") {
      // nobody's, and given back
      if (event.status === "granted" && slot.givenUp) return;
      if (event.status === "granted") {
        slot.state = "held";
        slot.mode = event.mode;
        slot.altered = event.altered;
        slot.onGrant?.(event.value);
        this.#outcomes.push(`${slot.index} granted`);
        return;
      }
      if (event.status === "EAGAIN") this.#outcomes.push(`${slot.index} busy`);
      this.#slotOf.delete(event.lock);
      slot.clear();
      return;
    }
    const { conversion } = slot;
    if (!conversion) return;
    if (event.status !== "granted") {
      slot.conversion = undefined;
      if (event.status === "EAGAIN") this.#outcomes.push(`${slot.index} convert busy`);
      else if (event.status !== "ECANCEL") this.#outcomes.push(`${slot.index} convert ${event.status}`);
      return;
    }
    if (conversion.givenUp && goesDown(conversion.to, conversion.from)) {
      // undone by the release that follows; nothing is written on the way
      return;
    }
    slot.conversion = undefined;
    slot.mode = event.mode;
    slot.demoted = event.demoted;
    slot.altered = event.altered;
    conversion.done(event.value);
    this.#outcomes.push(`${slot.index} converted`);
  }
}
