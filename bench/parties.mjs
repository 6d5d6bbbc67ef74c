// The parties of the comparison, each a process on a node that works only when it has its turn.
import { createInterface } from "node:readline";
import path from "node:path";

const here = import.meta.dirname;
const build = path.resolve(here, "../build/bench");

export const COMMANDS = {
  ours: (lockspace) => [process.execPath, path.join(here, "node/ours.mjs"), lockspace],
  bare: (lockspace) => [path.join(build, "bare"), lockspace],
  "libdlm-async": (lockspace) => [path.join(build, "libdlm"), lockspace, "async"],
  "libdlm-wait": (lockspace) => [path.join(build, "libdlm"), lockspace, "wait"],
};

export class Party {
  #process;
  #lines;

  static async start(cluster, node, argv) {
    const party = new Party(cluster.exec(node, argv));
    await party.#answer();
    return party;
  }

  constructor(process_) {
    this.#process = process_;
    process_.stderr.pipe(process.stderr, { end: false });
    this.#lines = createInterface({ input: process_.stdout })[Symbol.asyncIterator]();
  }

  /** Sends one line; resolves to the line that comes back. */
  async ask(line) {
    this.#process.stdin.write(`${line}\n`);
    return this.#answer();
  }

  /** The seconds that one turn took. */
  async turn({ workload, depth }, count) {
    return Number(await this.ask(`${workload} ${depth} ${count}`));
  }

  async end() {
    this.#process.stdin.end();
    await this.#process.exit;
  }

  async #answer() {
    const { value, done } = await this.#lines.next();
    if (!done) return value;
    const { code, signal } = await this.#process.exit;
    throw new Error(`a party of the benchmark ended with ${signal ?? code}`);
  }
}
