// The parties of the comparison, each a process on a node that works only when it has its turn.
import { createInterface } from "node:readline";
import path from "node:path";

const here = import.meta.dirname;
const built = (name) => path.resolve(here, "../build/bench", name);

const LOCKSPACE = "bench";
const MOUNT = "/dlm";
const DOMAIN = "bench";
const COMMANDS = {
  dlm: {
    ours: [process.execPath, path.join(here, "node/ours.mjs"), LOCKSPACE],
    bare: [built("bare"), LOCKSPACE],
    "libdlm wait": [built("libdlm"), LOCKSPACE, "wait"],
    "libdlm async": [built("libdlm"), LOCKSPACE, "async"],
  },
  dlmfs: {
    ours: [process.execPath, path.join(here, "node/ours-dlmfs.mjs"), MOUNT, DOMAIN],
    bare: [built("dlmfs"), MOUNT, DOMAIN, "bare"],
    libo2dlm: [built("dlmfs"), MOUNT, DOMAIN, "libo2dlm"],
  },
  clog: {
    ours: [process.execPath, path.join(here, "node/ours-clog.mjs")],
    "C daemon": [built("mirror_log")],
    io: [built("mirror_io")],
  },
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
  static named(cluster, node, name, { counted = false, kernel = "dlm", args = [] } = {}) {
    return Party.start(cluster, node, [...(counted ? [built("syscalls")] : []), ...COMMANDS[kernel][name], ...args]);
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

  /** Ends a turn that has no other end. */
  stop() {
    this.#process.stdin.write("stop\n");
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

/** Two that have the lock in turn. One does the work that counts, and the other keeps the lock whenever it has it. */
export class Duo {
  #counted;
  #keeper;

  constructor(counted, keeper) {
    this.#counted = counted;
    this.#keeper = keeper;
  }

  async turn(workload, count) {
    const kept = this.#keeper.turn({ ...workload, workload: "keep" }, 1);
    const took = await this.#counted.turn(workload, count);
    this.#keeper.stop();
    await kept;
    return took;
  }
}
