// The ssh driver of the cluster door.

import { randomBytes } from "node:crypto";

import type {
  Cluster,
  ClusterStatus,
  ExecOptions,
  KillOptions,
  Link,
  NodeProcess,
  Stack,
  StartOptions,
} from "../cluster";
import { LabError, messageOf } from "../errors";
import { runGuestScript } from "../guest-script";
import { nodeEnv } from "../node-env";
import { NetworkFaults } from "./faults";
import { Guard, managementPath } from "./guard";
import type { Inventory } from "./inventory";
import { fetchResults, keepResults } from "./results";
import { SshNode } from "./ssh-node";
import { scriptParameters, stackScripts } from "./stack";
import { syncDirectory } from "./sync";

/** The kernel's log; on a machine without a journal what is still in the kernel's buffer. */
const CONSOLE = "journalctl -q --no-pager -k -b -o short-monotonic 2>/dev/null | grep . || dmesg";

export interface SshClusterOptions {
  readonly driver: string;
  readonly out: string;
  /** Seconds that a step may take. */
  readonly patience: number;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
  /** Told when the cluster is let go of. */
  readonly onEnd: () => Promise<void>;
}

interface Member {
  readonly node: SshNode;
  guard: Guard;
  keeper: NodeProcess | undefined;
}

export class SshCluster implements Cluster {
  readonly nodes: readonly number[];
  readonly stack: Stack;
  readonly #inventory: Inventory;
  readonly #options: SshClusterOptions;
  readonly #members: readonly Member[];
  readonly #addresses: readonly string[];
  /** On the hosts; /var/tmp, for a reboot may empty /tmp. */
  readonly #remoteOut = `/var/tmp/clusterlock-out-${randomBytes(6).toString("hex")}`;
  readonly #onAbort = (): void => void this.down().catch(() => undefined);
  #faults: NetworkFaults;
  /** Faults are made one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #ending: Promise<void> | undefined;

  constructor(inventory: Inventory, options: SshClusterOptions) {
    this.#inventory = inventory;
    this.#options = options;
    this.stack = inventory.stack;
    this.#addresses = inventory.hosts.map(({ address }) => address);
    this.nodes = inventory.hosts.map((_, index) => index + 1);
    this.#faults = new NetworkFaults(this.nodes);
    const { progress, signal, patience } = options;
    const onSession = async (node: SshNode, why: "boot" | "session"): Promise<void> => this.#rejoin(node, why);
    this.#members = inventory.hosts.map((host, index) => {
      const node = new SshNode(index + 1, host, inventory.node, { onSession, progress, signal, patience });
      return { node, guard: this.#newGuard(node), keeper: undefined };
    });
  }

  async connect(): Promise<void> {
    const { signal, progress, patience } = this.#options;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    await this.#onAll(async ({ node }) => {
      for (const directory of this.#inventory.sync) await syncDirectory(node.host, directory, signal);
      await node.connect();
      progress(`n${node.number}: ${node.host.ssh} is there`);
    });
    await this.#onAll(async (member) => {
      await this.#openResults(member);
      await this.#joinStack(member.node, patience);
      member.node.ready();
    });
  }

  env(node: number): Readonly<Record<string, string>> {
    this.#member(node);
    return nodeEnv({ node, nodes: this.nodes.length, stack: this.stack, out: this.#remoteOut }, process.env);
  }

  exec(node: number, argv: readonly string[], options: ExecOptions = {}): NodeProcess {
    const env = { ...this.env(node), ...options.env };
    return this.#member(node).node.exec({ argv, cwd: options.cwd ?? process.cwd(), env });
  }

  async kill(node: number, options: KillOptions = {}): Promise<void> {
    if (options.lose !== undefined && options.lose !== "none") {
      throw new LabError(
        `kill: what a real disk loses is not ours to choose; lose "${options.lose}" needs a lab of QEMU`,
      );
    }
    await this.#member(node).node.kill();
  }

  async start(node: number, options: StartOptions = {}): Promise<void> {
    await this.#member(node).node.start(options);
  }

  async freeze(node: number): Promise<void> {
    await this.#member(node).node.freeze();
  }

  async thaw(node: number): Promise<void> {
    const { node: thawed, guard } = this.#member(node);
    await thawed.thaw();
    await guard.apply(this.#faults.of(node), this.#addresses);
  }

  async partition(groups: readonly (readonly number[])[]): Promise<void> {
    await this.#change((faults) => faults.partitioned(groups));
  }

  async heal(): Promise<void> {
    await this.#change((faults) => faults.healed());
  }

  async loss(link: Link, percent: number): Promise<void> {
    await this.#change((faults) => faults.lossy(link, percent));
  }

  async delay(link: Link, ms: number): Promise<void> {
    await this.#change((faults) => faults.delayed(link, ms));
  }

  async console(node: number): Promise<string> {
    const process = this.exec(node, ["/bin/sh", "-c", CONSOLE], { cwd: "/" });
    process.stdin.end();
    process.stderr.resume();
    const parts: Buffer[] = [];
    for await (const chunk of process.stdout) parts.push(chunk as Buffer);
    const { lost } = await process.exit;
    if (lost !== null) throw new LabError(`n${node} is off (${lost}), and its kernel's log with it`);
    return Buffer.concat(parts).toString();
  }

  async status(): Promise<ClusterStatus> {
    const nodes = await Promise.all(this.#members.map(async ({ node }) => node.status()));
    const { partition, links } = this.#faults;
    return { driver: this.#options.driver, stack: this.stack, nodes, partition, links };
  }

  /** Ends what was started on the nodes and every fault of the network; the nodes themselves stay as they are. */
  async down(): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  async #change(next: (faults: NetworkFaults) => NetworkFaults): Promise<void> {
    const turn = this.#turn.then(async () => {
      const before = this.#faults;
      const faults = next(before);
      const touched = this.#members.filter(
        ({ node }) =>
          node.reachable && JSON.stringify(before.of(node.number)) !== JSON.stringify(faults.of(node.number)),
      );
      for (const { node } of touched) if (faults.of(node.number).length > 0) this.#checkPath(node);
      this.#faults = faults;
      try {
        await this.#applyTo(touched);
      } catch (error) {
        this.#faults = before;
        await this.#applyTo(touched).catch(() => undefined);
        throw error;
      }
    });
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  async #applyTo(members: readonly Member[]): Promise<void> {
    const results = await Promise.allSettled(
      members.map(async ({ node, guard }) => {
        await guard.apply(this.#faults.of(node.number), this.#addresses).catch((error: unknown) => {
          throw new LabError(`n${node.number}: ${messageOf(error)}`);
        });
      }),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #checkPath(node: SshNode): void {
    const why = managementPath(node.greeting.connection, node.number, this.#addresses);
    if (why !== undefined) throw new LabError(`${why}: a fault of the cluster network would cut us off`);
  }

  // a new session has neither the guard nor the keeper of the one before
  async #rejoin(node: SshNode, why: "boot" | "session"): Promise<void> {
    const member = this.#member(node.number);
    member.guard = this.#newGuard(node);
    await this.#openResults(member);
    await member.guard.apply(this.#faults.of(node.number), this.#addresses);
    if (why === "boot") await this.#joinStack(node, this.#options.patience);
  }

  async #joinStack(node: SshNode, patience: number): Promise<void> {
    const parameters = scriptParameters(this.#inventory, patience);
    const start = (argv: readonly string[]): NodeProcess => this.exec(node.number, argv, { cwd: "/", env: parameters });
    for (const script of stackScripts(this.#inventory)) {
      await runGuestScript(script, start, (step) => {
        this.#options.progress(`n${node.number}: ${step}`);
      }).catch((error: unknown) => {
        throw new LabError(`n${node.number}: ${messageOf(error)}`);
      });
    }
  }

  async #openResults(member: Member): Promise<void> {
    member.keeper = await keepResults(this.#remoteOut, this.#root(member.node));
  }

  #newGuard(node: SshNode): Guard {
    return new Guard(node.host, this.#root(node));
  }

  #root(node: SshNode): (argv: readonly string[]) => NodeProcess {
    return (argv) => this.exec(node.number, argv, { cwd: "/" });
  }

  async #onAll(what: (member: Member) => Promise<void>): Promise<void> {
    await Promise.all(this.#members.map(what));
  }

  #member(node: number): Member {
    const member = this.#members[node - 1];
    if (member === undefined) throw new LabError(`there is no node ${node} in this cluster`);
    return member;
  }

  async #end(): Promise<void> {
    const { signal, progress, out } = this.#options;
    signal.removeEventListener("abort", this.#onAbort);
    await this.#turn;
    await this.#onAll(async ({ node, guard, keeper }) => {
      const complain = (error: unknown): void => {
        progress(`n${node.number}: ${messageOf(error)}`);
      };
      if (node.reachable) {
        await guard.heal().catch(complain);
        if (keeper !== undefined) await fetchResults(this.#remoteOut, out, this.#root(node)).catch(complain);
      }
      await node.close();
    });
    await this.#options.onEnd();
  }
}
