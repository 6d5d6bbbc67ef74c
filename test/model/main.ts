// Draws sequences, runs them on the real system beside the model, and shrinks the one that diverges.

import fc from "fast-check";

import { burst, runBursts } from "./burst";
import { command } from "./commands";
import { Divergence } from "./divergence";
import type { Bench } from "./real";
import { reduce } from "./reduce";
import { type Tally, runStrict } from "./strict";

export type Way = "strict" | "burst";

export interface Plan {
  readonly way: Way;
  readonly seed: number;
  readonly steps: number;
  /** fast-check's path to one sequence, as a failure prints it. */
  readonly path?: string | undefined;
}

export interface Report extends Tally {
  readonly ms: number;
  /** What a failure has to tell. */
  readonly failure?: string;
}

// A command is given this long; when one has failed, the search for a shorter sequence is not to wait as long each time.
const PATIENCE = { first: 10_000, later: 500 };
const REDUCE_LIMIT = 90_000;
// About a third of the commands of a strict sequence has a meaning in its turn.
const LENGTH = { strict: 600, burst: 20 };
// Fewer steps than a sequence has ever come to: as many sequences as this makes necessary are drawn.
const STEPS_AT_LEAST = { strict: 120, burst: 25 };

type Run<T> = (bench: Bench, name: string, sequence: readonly T[], tally: Tally, patience: number) => Promise<void>;

class Search<T extends object> {
  readonly #bench: Bench;
  readonly #plan: Plan;
  readonly #run: Run<T>;
  readonly #tally: Tally = { steps: 0, seen: {} };
  #runs = 0;

  constructor(bench: Bench, plan: Plan, run: Run<T>) {
    this.#bench = bench;
    this.#plan = plan;
    this.#run = run;
  }

  async search(arbitrary: fc.Arbitrary<T>): Promise<Report> {
    const began = Date.now();
    const { way, seed, path, steps } = this.#plan;
    const sequences = fc.array(arbitrary, { minLength: LENGTH[way], maxLength: LENGTH[way] });
    const property = fc.asyncProperty(sequences, async (sequence) => {
      if (this.#tally.steps < steps) await this.#try(sequence, this.#tally, PATIENCE.first);
    });
    const numRuns = Math.ceil(steps / STEPS_AT_LEAST[way]);
    const from = path === undefined ? {} : { path };
    const result = await fc.check(property, { seed, numRuns, endOnFailure: true, ...from });
    const report = { ...this.#tally, ms: Date.now() - began };
    return result.failed ? { ...report, failure: await this.#explain(result) } : report;
  }

  #try(sequence: readonly T[], tally: Tally, patience: number): Promise<void> {
    return this.#run(this.#bench, `${this.#plan.way}${this.#runs++}`, sequence, tally, patience);
  }

  async #explain(result: fc.RunDetails<[T[]]>): Promise<string> {
    const { seed, way } = this.#plan;
    const { counterexamplePath, counterexample, errorInstance } = result;
    let last = errorInstance;
    let sequence: readonly T[] = counterexample?.[0] ?? [];
    if (last instanceof Divergence) {
      const end = Date.now() + REDUCE_LIMIT;
      const fails = async (shorter: readonly T[]): Promise<boolean> => {
        try {
          await this.#try(shorter, { steps: 0, seen: {} }, PATIENCE.later);
          return false;
        } catch (error) {
          if (error instanceof Divergence) last = error;
          return error instanceof Divergence;
        }
      };
      sequence = await reduce(sequence, fails, () => Date.now() > end);
    } else sequence = [];
    return [
      `${way}, after ${this.#tally.steps} steps: repeated by CLUSTERLOCK_SEED=${seed} CLUSTERLOCK_PATH=${way}@${counterexamplePath ?? ""}`,
      ...sequence.map((one) => JSON.stringify(one)),
      last instanceof Error ? (last instanceof Divergence ? last.message : last.stack) : String(last),
    ].join("\n");
  }
}

/** Runs as many sequences as the plan's steps take, or until one diverges. */
export async function findDivergence(bench: Bench, plan: Plan): Promise<Report> {
  return plan.way === "strict"
    ? new Search(bench, plan, runStrict).search(command)
    : new Search(bench, plan, runBursts).search(burst);
}
