// The parties of the comparison, each a process on a node that works only when it has its turn.
import { createInterface } from "node:readline";
import path from "node:path";

const here = import.meta.dirname;
const built = (name) => path.resolve(here, "../build/bench", name);

const LOCKSPACE = "bench";
const COMMANDS = {
  ours: [process.execPath, path.join(here, "node/ours.mjs"), LOCKSPACE],
  bare: [built("bare"), LOCKSPACE],
  "libdlm wait": [built("libdlm"), LOCKSPACE, "wait"],
  "libdlm async": [built("libdlm"), LOCKSPACE, "async"],
};

export class Party {
  #process;
  #lines;
  #errors = "";
  /** The line with which it began. */
  first;

  static async start(cluster, node, argv) {
    const party = new Party(cluster.exec(node, argv));
    party.first = await party.#answer();
    return party;
  }

  /** By its name; `counted`: its answers say how many system calls a turn took. */
  static named(cluster, node, name, { counted = false } = {}) {
    return Party.start(cluster, node, [...(counted ? [built("syscalls")] : []), ...COMMANDS[name]]);
  }

  constructor(child) {
    this.#process = child;
    child.stderr.setEncoding("utf8").on("data", (text) => (this.#errors += text));
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Sends one line; resolves to the line that comes back. */
  ask(line) {
    this.#process.stdin.write(`${line}\n`);
    return this.#answer();
  }

  /** The seconds that one turn took. */
  async turn({ workload, depth }, count) {
    return Number(await this.ask(`${workload} ${depth} ${count}`));
  }

  /** Of a party that is counted: the system calls of one turn, by name, for each round of the workload. */
  async calls({ workload, depth }, count) {
    const answer = await this.ask(`${workload} ${depth} ${count}`);
    const counts = JSON.parse(answer.slice(answer.indexOf("{")));
    return Object.fromEntries(Object.entries(counts).map(([name, calls]) => [name, calls / count]));
  }

  async end() {
    this.#process.stdin.end();
    const { code, signal } = await this.#process.exit;
    if (code !== 0) throw this.#failure(signal ?? code);
  }

  async #answer() {
    const { value, done } = await this.#lines.next();
    if (!done) return value;
    const { code, signal, lost } = await this.#process.exit;
    throw this.#failure(lost ?? signal ?? code);
  }

  #failure(end) {
    return new Error(`a party of the benchmark ended with ${end}: ${this.#errors.trim()}`);
  }
}
