// Who held the lock when, from what the nodes wrote down; test/kernel/programs/witness.cjs writes it.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

import type { Cluster, NodeProcess } from "../../../lib/lab";

const PROGRAM = path.resolve(__dirname, "../programs/witness.cjs");

export interface Hold {
  readonly node: number;
  readonly from: number;
  /** Infinity: it was not seen to end. */
  readonly to: number;
}

export class Witness {
  readonly #cluster: Cluster;
  readonly #out: string;
  readonly #name: string;
  readonly processes: Map<number, NodeProcess> = new Map();

  constructor(cluster: Cluster, out: string, name: string) {
    this.#cluster = cluster;
    this.#out = out;
    this.#name = name;
  }

  start(node: number, holdMs = 150): void {
    const child = this.#cluster.exec(node, [process.execPath, PROGRAM, this.#name, String(holdMs)]);
    child.stdout.resume();
    child.stderr.pipe(process.stderr);
    this.processes.set(node, child);
  }

  stop(): void {
    for (const child of this.processes.values()) child.kill("SIGKILL");
  }

  holds(node: number): Hold[] {
    const file = path.join(this.#out, `${this.#name}.${node}.jsonl`);
    if (!existsSync(file)) return [];
    const words = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as { granted?: number; released?: number });
    return words.flatMap(({ granted }, index) =>
      granted === undefined ? [] : [{ node, from: granted, to: words[index + 1]?.released ?? Infinity }],
    );
  }

  all(): Hold[] {
    return this.#cluster.nodes.flatMap((node) => this.holds(node)).sort((a, b) => a.from - b.from);
  }

  /** Resolves when every one of these nodes has been granted the lock so many times after a moment. */
  async grants(nodes: readonly number[], count: number, since = 0, ms = 60_000): Promise<void> {
    const deadline = Date.now() + ms;
    const enough = (): boolean =>
      nodes.every((node) => this.holds(node).filter(({ from }) => from > since).length >= count);
    while (!enough()) {
      if (Date.now() > deadline) throw new Error(`no ${count} grants on ${nodes.join()} within ${ms} ms`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** The clocks of nodes agree within this. */
const CLOCK_MS = 50;

/** Pairs of holds of different nodes that overlap in time; a hold without an end ended with its node's power. */
export function overlaps(holds: readonly Hold[], off: ReadonlyMap<number, number>): [Hold, Hold][] {
  const found: [Hold, Hold][] = [];
  const ended = holds.map((hold) => ({ ...hold, to: Math.min(hold.to, off.get(hold.node) ?? Infinity) }));
  let open: Hold[] = [];
  for (const hold of ended.sort((a, b) => a.from - b.from)) {
    open = open.filter((other) => other.to > hold.from + CLOCK_MS);
    for (const other of open) if (other.node !== hold.node) found.push([other, hold]);
    open.push(hold);
  }
  return found;
}
