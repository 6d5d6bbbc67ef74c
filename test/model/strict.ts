// One command after the other; after each, everything that can be seen has to be what the model says.

import { type Command, RESOURCES } from "./commands";
import { Divergence, compareResource } from "./divergence";
import { DlmModel, type Expected } from "./dlm-model";
import { parseDump } from "./dump";
import { type Bench, Real } from "./real";
import { modeName } from "./tables";

/** Lets what the kernel has already said be read and reach those who wait for it. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

export interface Tally {
  steps: number;
  /** How often each outcome was seen, and how many notices. */
  readonly seen: Record<string, number>;
}

export function count(tally: Tally, outcomes: readonly string[]): void {
  for (const outcome of outcomes) {
    const kind = outcome.replace(/\d+ /, "");
    tally.seen[kind] = (tally.seen[kind] ?? 0) + 1;
  }
}

class StrictRun {
  readonly #bench: Bench;
  readonly #real: Real;
  readonly #model: DlmModel;
  readonly #patience: number;

  constructor(bench: Bench, real: Real, model: DlmModel, patience: number) {
    this.#bench = bench;
    this.#real = real;
    this.#model = model;
    this.#patience = patience;
  }

  async step(command: Command, tally: Tally): Promise<void> {
    const emptyBefore = this.#model.resources.map(({ empty }) => empty);
    const expected = this.#model.apply(command);
    if (!expected) return;
    this.#real.outcomes = [];
    for (const slot of this.#real.slots) slot.notices.length = 0;
    if (!this.#real.begin(command)) throw new Divergence("the API refuses what the model allows");
    await this.#settle(expected, emptyBefore);
    tally.steps++;
    count(tally, this.#real.outcomes);
    tally.seen["notice"] = (tally.seen["notice"] ?? 0) + this.#real.slots.flatMap((slot) => slot.notices).length;
  }

  // The kernel is asked once the callers have been told, and once more has nothing to say by then.
  async #settle(expected: Expected, emptyBefore: readonly boolean[]): Promise<void> {
    const deadline = Date.now() + this.#patience;
    const agree = async (compare: () => string[]): Promise<void> => {
      let differences = compare();
      while (differences.length > 0) {
        if (Date.now() > deadline) throw new Divergence(differences.join("\n"));
        await turn();
        differences = compare();
      }
    };
    await agree(() => this.#compareOutcomes(expected));
    await agree(() => this.#compareKernel(emptyBefore));
    await turn();
    await agree(() => [...this.#compareOutcomes(expected), ...this.#compareApi(), ...this.#compareNotices(expected)]);
  }

  #compareOutcomes(expected: Expected): string[] {
    const wanted = expected.outcomes.sort().join(", ");
    const seen = this.#real.outcomes.sort().join(", ");
    return wanted === seen ? [] : [`outcomes: model [${wanted}], real [${seen}]`];
  }

  #compareKernel(emptyBefore: readonly boolean[]): string[] {
    const dump = parseDump(this.#bench.dump());
    return this.#model.resources.flatMap((resource, index) => {
      const dumped = dump.get(resource.name);
      // What the kernel keeps of a resource without locks, its flag included, it may also have thrown away by now.
      if (emptyBefore[index] && dumped && resource.invalid && resource.value === undefined && !dumped.invalid) {
        resource.invalid = false;
      }
      return compareResource(resource, dumped);
    });
  }

  #compareApi(): string[] {
    const differences: string[] = [];
    const compare = (what: string, wanted: unknown, seen: unknown): void => {
      if (wanted !== seen) differences.push(`${what}: model ${String(wanted)}, real ${String(seen)}`);
    };
    const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString("hex");
    for (const { index, state, mode, value, kernel, resource, demoted, altered } of this.#model.slots) {
      const { lock } = this.#real.slot(index);
      compare(`slot ${index} held`, state === "held", lock !== undefined);
      if (state !== "held" || !lock) continue;
      compare(`slot ${index} mode`, modeName(mode), lock.mode);
      compare(`slot ${index} id`, kernel?.id, lock.id);
      compare(`slot ${index} resource`, resource.name, lock.resource);
      compare(`slot ${index} demoted`, demoted, lock.demoted);
      compare(`slot ${index} altMode`, altered, lock.altMode);
      compare(`slot ${index} released`, false, lock.released);
      compare(`slot ${index} lvb`, hex(value.bytes), hex(lock.lvb));
      compare(`slot ${index} lvbValid`, value.valid, lock.lvbValid);
    }
    this.#real.handles.forEach(({ ls }, index) => {
      compare(`handle ${index} held`, this.#model.count(index, "held"), ls.held);
      compare(`handle ${index} pending`, this.#model.count(index, "acquiring"), ls.pending);
    });
    return differences;
  }

  #compareNotices(expected: Expected): string[] {
    return expected.notices.flatMap(({ allowed, due }, index) => {
      const { notices } = this.#real.slot(index);
      const told = `slot ${index} was told [${notices.map(modeName).join(", ")}]`;
      if (!notices.every((mode) => allowed.has(mode))) {
        return [`${told}, and may be told [${[...allowed].map(modeName).join(", ")}]`];
      }
      return due >= 0 && !notices.includes(due) ? [`${told}, and must be told ${modeName(due)}`] : [];
    });
  }
}

/** Runs a sequence from nothing to nothing; throws a Divergence that says where. */
export async function runStrict(
  bench: Bench,
  name: string,
  commands: readonly Command[],
  tally: Tally,
  patience: number,
): Promise<void> {
  const names = Array.from({ length: RESOURCES }, (_, index) => `${name}.${index}`);
  const real = await Real.open(bench, names);
  const model = new DlmModel(names);
  const run = new StrictRun(bench, real, model, patience);
  const done: Command[] = [];
  try {
    const end = (["close", "drop"] as const).flatMap((how) => real.handles.map((_, handle) => ({ do: how, handle })));
    for (const command of [...commands, ...end]) {
      done.push(command);
      await run.step(command, tally);
    }
    const left = bench.locksLeft();
    if (left.length > 0) throw new Divergence(`leaked: ${left.join("; ")}`);
  } catch (error) {
    if (!(error instanceof Divergence)) throw error;
    throw new Divergence(`at command ${done.length}, ${JSON.stringify(done.at(-1))}:\n${error.message}`);
  } finally {
    real.abandon();
    await emptied(bench);
  }
}

/** What one run leaves must not be there in the next. */
export async function emptied(bench: Bench): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (bench.locksLeft().length > 0) {
    if (Date.now() > deadline) throw new Error(`locks outlive their handles: ${bench.locksLeft().join("; ")}`);
    await turn();
  }
}
