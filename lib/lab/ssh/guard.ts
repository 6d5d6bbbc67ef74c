// The faults of one node: scripts/guest/faults.sh runs there as long as there are any. It undoes them when its input
// ends, be that because they are healed, or because we, ssh or the network are gone.

import { once } from "node:events";
import path from "node:path";
import readline from "node:readline";

import type { NodeProcess } from "../cluster";
import { LabError } from "../errors";
import { packageRoot } from "../paths";
import { within } from "../waiting";
import type { PeerFault } from "./faults";
import type { Host } from "./inventory";

const SCRIPT = path.join(packageRoot, "scripts/guest/faults.sh");
const PATIENCE_S = 30;
const NEVER = new AbortController().signal;

export class Guard {
  readonly #host: Host;
  readonly #exec: (argv: readonly string[]) => NodeProcess;
  #process: NodeProcess | undefined;
  #answers: AsyncIterableIterator<string> | undefined;
  #complaint = "";

  constructor(host: Host, exec: (argv: readonly string[]) => NodeProcess) {
    this.#host = host;
    this.#exec = exec;
  }

  /** Makes these the node's faults, and no others. `addresses` are those of nodes 1..N. */
  async apply(faults: readonly PeerFault[], addresses: readonly string[]): Promise<void> {
    if (faults.length === 0) {
      await this.heal();
      return;
    }
    const words = faults.map(
      ({ peer, cut, loss, delay }) => `${addresses[peer - 1] ?? ""},${cut ? 1 : 0},${loss},${delay}`,
    );
    await within(PATIENCE_S, "the network's faults", NEVER, this.#ask(words.join(" ")));
  }

  async heal(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    process.stdin.end();
    const { code, lost } = await within(PATIENCE_S, "the end of the network's faults", NEVER, process.exit);
    if (lost === null && code !== 0 && code !== null) throw new LabError(`faults.sh: ${this.#complaint.trim()}`);
  }

  async #ask(line: string): Promise<void> {
    const { stdin } = this.#process ?? this.#start();
    if (!stdin.write(`${line}\n`)) await once(stdin, "drain");
    const answer = await this.#answers?.next();
    if (answer?.done !== true && answer?.value === "ok") return;
    await this.#process?.exit;
    this.#process = undefined;
    throw new LabError(this.#complaint.trim().split("\n").at(-1) || "faults.sh ended");
  }

  #start(): NodeProcess {
    // a session of its own: it has to outlive the agent for a moment
    const process = this.#exec(["setsid", "/bin/sh", SCRIPT, this.#host.interface, this.#host.address]);
    this.#process = process;
    this.#complaint = "";
    process.stdin.on("error", () => undefined);
    process.stderr.on("data", (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString()).slice(-2000);
    });
    this.#answers = readline.createInterface({ input: process.stdout })[Symbol.asyncIterator]();
    return process;
  }
}

/** Why a fault of the cluster network might cut us off from the node; undefined when it cannot. */
export function managementPath(connection: string, node: number, addresses: readonly string[]): string | undefined {
  const [from, , to] = connection.split(" ");
  const own = addresses[node - 1];
  if (to !== undefined && to === own) return `ssh reaches n${node} at its cluster address ${to}`;
  const peer = from === undefined ? -1 : addresses.indexOf(from);
  if (peer >= 0) return `ssh reaches n${node} from n${peer + 1}'s cluster address ${addresses[peer] ?? ""}`;
  return undefined;
}
