// The same lock file opened at random on several nodes until one is stuck; storm.c is what runs there.

import readline from "node:readline";

import type { Cluster } from "../../../lib/lab";

import { buildProgram } from "./owner";

/** What each open asks for; storm.c has their meaning. */
export type Mix = "mixed" | "ex" | "pr" | "unlink" | "fresh";

export interface StormEnd {
  /** Opens of each node. */
  readonly opens: number[];
  /** The longest open in milliseconds, of each node. */
  readonly slowest: number[];
  /** Seconds after which on every node an open had lasted for the watchdog's time; null when they all came to their end. */
  readonly stuck: number | null;
}

// for so many milliseconds
const STAYS = 15_000;

export class Storm {
  /**
   * Resolves when all programs have ended, or all are found stuck and have stayed so: one alone may have been starved by
   * the others, and all of them by a machine that had others to serve.
   */
  readonly end: Promise<StormEnd>;

  /** @param mixes of the nodes 1 to N; one for all, or one for each */
  constructor(cluster: Cluster, file: string, seconds: number, seed: number, mixes: readonly Mix[]) {
    const watchdog = 15;
    const program = buildProgram("storm");
    const opens: number[] = [];
    const slowest: number[] = [];
    const waiting = new Set<number>();
    let verdict: NodeJS.Timeout | undefined;
    this.end = new Promise((resolve) => {
      let running = cluster.nodes.length;
      for (const [i, node] of cluster.nodes.entries()) {
        const words = [file, seconds, watchdog, seed * 100 + node, 1, mixes[i] ?? mixes[0]!];
        const child = cluster.exec(node, [program, ...words.map(String)]);
        child.stdin.end();
        child.stderr.pipe(process.stderr);
        readline.createInterface({ input: child.stdout }).on("line", (line) => {
          const found = (name: string): number => Number(new RegExp(`${name}=(\\d+)`).exec(line)?.[1]);
          if (line.includes("slowest=")) [opens[i], slowest[i]] = [found("opens"), found("slowest")];
          if (line.startsWith("FREED")) {
            waiting.delete(node);
            clearTimeout(verdict);
          }
          if (line.startsWith("STUCK")) waiting.add(node);
          if (line.startsWith("STUCK") && waiting.size === cluster.nodes.length) {
            verdict = setTimeout(resolve, STAYS, { opens, slowest, stuck: found("t") });
          }
        });
        void child.exit.then(() => {
          if (--running === 0) resolve({ opens, slowest, stuck: null });
        });
      }
    });
  }
}
