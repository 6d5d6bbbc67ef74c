// Commands that meet each other: what becomes of them depends on who is first, so that only what holds in every order is
// checked, once all has come to rest.

import fc from "fast-check";

import { type Command, RESOURCES, handleOf, plainCommand, resourceOf } from "./commands";
import { Divergence } from "./divergence";
import { type DumpedLock, type DumpedResource, parseDump } from "./dump";
import { deadlocks, fits } from "./granting";
import { KernelLock, Resource } from "./queues";
import { type Bench, Real, type RealSlot } from "./real";
import { type Tally, count, emptied, turn } from "./strict";
import { compatible, modeName } from "./tables";

/** `pause`: how many turns of the event loop pass before the next command. */
export type Burst = readonly (Command & { readonly pause: number })[];

export const burst: fc.Arbitrary<Burst> = fc.array(
  fc.tuple(plainCommand, fc.constantFrom(0, 0, 0, 1, 2)).map(([one, pause]) => ({ ...one, pause })),
  { minLength: 1, maxLength: 24, size: "max" },
);

/** What was asked for in a burst that explains how a promise settles. */
class Causes {
  readonly #aborted = new Set<number>();
  readonly #released = new Set<number>();
  readonly #converted = new Set<number>();
  readonly #ended = new Set<number>();

  note(one: Command): void {
    if (one.do === "abort") this.#aborted.add(one.slot);
    else if (one.do === "release") this.#released.add(one.slot);
    else if (one.do === "convert") this.#converted.add(one.slot);
    else if (one.do === "close") this.#ended.add(one.handle);
  }

  /** Whether the outcome is one that the command can have. */
  explain(outcome: string): boolean {
    const [first, ...rest] = outcome.split(" ");
    const slot = Number(first);
    const ended = this.#ended.has(handleOf(slot));
    switch (rest.join(" ")) {
      case "gave up":
      case "convert gave up":
        return this.#aborted.has(slot);
      case "closed":
        return ended;
      case "convert released":
        return ended || this.#released.has(slot);
      case "release ERR_INVALID_ARG_VALUE":
        return this.#converted.has(slot);
      case "granted":
      case "busy":
      case "converted":
      case "convert EDEADLK":
      case "convert busy":
      case "released":
        return true;
      default:
        return first === "handle";
    }
  }
}

class BurstRun {
  readonly #bench: Bench;
  readonly #real: Real;
  readonly #names: readonly string[];
  readonly #patience: number;
  /** First bytes of what was to be written to each resource. */
  readonly #written: Set<number>[];

  constructor(bench: Bench, real: Real, names: readonly string[], patience: number) {
    this.#bench = bench;
    this.#real = real;
    this.#names = names;
    this.#patience = patience;
    this.#written = names.map(() => new Set([0]));
  }

  async fire(commands: Burst, tally: Tally): Promise<void> {
    const causes = new Causes();
    this.#real.outcomes = [];
    for (const one of commands) {
      causes.note(one);
      if ("lvb" in one && typeof one.lvb === "number") this.#written[resourceOf(one.slot)]?.add(one.lvb);
      if (this.#real.begin(one)) tally.steps++;
      for (let i = 0; i < one.pause; i++) await turn();
    }
    await this.#rest();
    const odd = this.#real.outcomes.filter((outcome) => !causes.explain(outcome));
    if (odd.length > 0) throw new Divergence(`nothing explains: ${odd.join(", ")}`);
    count(tally, this.#real.outcomes);
  }

  async #rest(): Promise<void> {
    const deadline = Date.now() + this.#patience;
    for (let agreed = 0; agreed < 2;) {
      await turn();
      const differences = this.#unrest();
      if (differences.length === 0) agreed++;
      else {
        agreed = 0;
        if (Date.now() > deadline) throw new Divergence(differences.join("\n"));
      }
    }
  }

  #unrest(): string[] {
    const { slots, ending, handles } = this.#real;
    if (ending.size > 0) return [`handles that do not end: ${[...ending.keys()].join(", ")}`];
    const found: string[] = [];
    slots.forEach((slot, index) => {
      if (slot.lock?.released) found.push(`slot ${index} does not get released`);
      if (slot.acquiring?.tries ?? slot.converting?.tries) found.push(`slot ${index} waits in a try`);
    });
    handles.forEach(({ ls }, handle) => {
      const mine = slots.filter((_, index) => handleOf(index) === handle);
      const held = mine.filter(({ lock }) => lock).length;
      const pending = mine.filter(({ acquiring }) => acquiring).length;
      if (ls.held !== held || ls.pending !== pending) {
        found.push(`handle ${handle} has ${ls.held} and ${ls.pending}; there are ${held} locks, ${pending} requests`);
      }
    });
    const dump = parseDump(this.#bench.dump());
    this.#names.forEach((name, index) => {
      const mine = slots.filter((_, at) => resourceOf(at) === index);
      found.push(...this.#compare(name, mine, dump.get(name)), ...this.#values(mine, this.#written[index]));
    });
    return found;
  }

  #compare(name: string, slots: readonly RealSlot[], dumped: DumpedResource | undefined): string[] {
    const { granted = [], converting = [], waiting = [] } = dumped ?? {};
    // what a granted lock asks for is what the last tryConvert() left there
    const text = ({ granted: has, requested }: DumpedLock, inQueue = true): string =>
      `${modeName(has)}>${inQueue ? modeName(requested) : "--"}`;
    const held = slots.flatMap(({ lock, converting: to }) =>
      lock ? [{ id: lock.id, text: `${lock.mode}>${to?.mode ?? "--"}`, converts: to !== undefined }] : [],
    );
    const wanted = {
      granted: held.filter(({ converts }) => !converts).map((lock) => `${lock.id} ${lock.text}`),
      converting: held.filter(({ converts }) => converts).map((lock) => `${lock.id} ${lock.text}`),
      waiting: slots.flatMap(({ acquiring }) => (acquiring ? [`-->${acquiring.mode}`] : [])),
    };
    const seen = {
      granted: granted.map((lock) => `${lock.id} ${text(lock, false)}`),
      converting: converting.map((lock) => `${lock.id} ${text(lock)}`),
      waiting: waiting.map((lock) => text(lock)),
    };
    const found = (["granted", "converting", "waiting"] as const).flatMap((queue) => {
      const [left, right] = [wanted[queue].sort().join(", "), seen[queue].sort().join(", ")];
      return left === right ? [] : [`${name} ${queue}: API [${left}], kernel [${right}]`];
    });
    return dumped ? [...found, ...unfair(dumped)] : found;
  }

  #values(slots: readonly RealSlot[], written: ReadonlySet<number> | undefined): string[] {
    return slots.flatMap(({ lock }) => {
      const [first = 0, ...rest] = lock?.lvb ?? [];
      const plausible = written?.has(first) && rest.every((byte) => byte === 0);
      return plausible ? [] : [`${lock?.resource ?? ""} has a value that nobody wrote: ${first}`];
    });
  }
}

/** What no order of events excuses: grants that exclude each other, and locks that wait for nothing. */
export function unfair(dumped: DumpedResource): string[] {
  const resource = new Resource(dumped.name);
  for (const queue of ["granted", "converting", "waiting"] as const) {
    for (const { granted, requested } of dumped[queue]) {
      const lock = new KernelLock(resource, 0, { mode: requested, value: { takesPart: false }, listens: false });
      Object.assign(lock, { granted, requested, queue });
      resource[queue].push(lock);
    }
  }
  const holders = [...resource.granted, ...resource.converting];
  const show = (lock: KernelLock): string => `${modeName(lock.granted)}>${modeName(lock.requested)}`;
  const pairs = holders.flatMap((a, index) =>
    holders
      .slice(index + 1)
      .filter((b) => !compatible(a.granted, b.granted))
      .map((b) => `${dumped.name}: granted at once: ${show(a)} and ${show(b)}`),
  );
  const idle = [...resource.converting, ...resource.waiting]
    .filter((lock) => fits(resource, lock, false))
    .map((lock) => `${dumped.name}: waits for nothing: ${show(lock)}`);
  const stuck = resource.converting
    .filter((lock) => deadlocks(resource, lock))
    .map((lock) => `${dumped.name}: in a conversion deadlock: ${show(lock)}`);
  return [...pairs, ...idle, ...stuck];
}

/** Runs bursts from nothing to nothing; throws a Divergence that says where. */
export async function runBursts(
  bench: Bench,
  name: string,
  bursts: readonly Burst[],
  tally: Tally,
  patience: number,
): Promise<void> {
  const names = Array.from({ length: RESOURCES }, (_, index) => `${name}.${index}`);
  const real = await Real.open(bench, names);
  const run = new BurstRun(bench, real, names, patience);
  let fired = 0;
  try {
    for (const one of bursts) {
      fired++;
      await run.fire(one, tally);
    }
    await run.fire(
      real.handles.map((_, handle) => ({ do: "close", handle, pause: 0 })),
      tally,
    );
    await emptied(bench);
  } catch (error) {
    if (!(error instanceof Divergence)) throw error;
    throw new Divergence(`after burst ${fired}:\n${error.message}`);
  } finally {
    real.abandon();
    await emptied(bench);
  }
}
