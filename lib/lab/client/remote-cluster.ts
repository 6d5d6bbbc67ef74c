// The cluster door over a connection to a lab's keeper.

import type { Duplex } from "node:stream";

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
import { LabError } from "../errors";
import { checkNode } from "../keeper/checks";
import type { FromKeeper, KeeperVerb, LabFacts, ToKeeper } from "../keeper/messages";
import { fromWire } from "../keeper/wire-error";
import { nodeEnv } from "../node-env";
import { NODE_LAB_SOCKET, packageVersion, workingDirectory } from "../paths";
import { Decoder, encode } from "../wire/json-lines";
import { RemoteProcesses } from "../wire/remote-processes";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface ConnectionHooks {
  readonly onProgress?: (line: string) => void;
  /** The answer to "boot". */
  readonly onReady?: () => void;
  readonly onFailed?: (error: Error) => void;
  /** The connection is gone; `reason` is for a person. */
  readonly onGone?: () => void;
}

/** One connection to a keeper, before and after it has become a cluster's. */
export class KeeperConnection {
  /** Rejects when the connection ends before the keeper has spoken. */
  readonly facts: Promise<LabFacts>;
  readonly #stream: Duplex & { ref?(): unknown; unref?(): unknown };
  readonly #hooks: ConnectionHooks;
  readonly #calls = new Map<number, Waiting>();
  readonly #processes: RemoteProcesses;
  #settleFacts!: Waiting;
  #nextCall = 1;
  #gone: Error | undefined;
  #idleUnref = false;

  constructor(stream: Duplex, hooks: ConnectionHooks = {}) {
    this.#stream = stream;
    this.#hooks = hooks;
    this.#processes = new RemoteProcesses(this.send.bind(this), () => {
      this.#restIfIdle();
    });
    this.facts = new Promise<LabFacts>((resolve, reject) => {
      this.#settleFacts = { resolve: resolve as Waiting["resolve"], reject };
    });
    this.facts.catch(() => undefined);
    const decoder = new Decoder<FromKeeper>();
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const message of decoder.push(chunk)) this.#take(message);
      } catch {
        this.lose(new LabError("what answers there is no lab"));
        this.close();
      }
    });
    const gone = (): void => {
      this.lose(new LabError("the lab has ended"));
    };
    stream.on("error", gone);
    stream.once("end", gone);
    stream.once("close", gone);
  }

  /** An idle connection is not to keep the process alive. */
  unrefWhenIdle(): void {
    this.#idleUnref = true;
    this.#restIfIdle();
  }

  send(message: ToKeeper): void {
    if (this.#stream.writable) this.#stream.write(encode(message));
  }

  exec(message: Omit<Extract<ToKeeper, { t: "exec" }>, "t" | "id">): NodeProcess {
    if (this.#gone !== undefined) return this.#processes.lost("died");
    this.#stream.ref?.();
    return this.#processes.start((id) => {
      this.send({ t: "exec", id, ...message });
    });
  }

  async call(verb: KeeperVerb, ...args: unknown[]): Promise<unknown> {
    if (this.#gone !== undefined) throw this.#gone;
    const id = this.#nextCall++;
    this.#stream.ref?.();
    const answer = new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
    });
    this.send({ t: "call", id, verb, args });
    try {
      return await answer;
    } finally {
      this.#calls.delete(id);
      this.#restIfIdle();
    }
  }

  close(): void {
    this.#stream.destroy();
  }

  /** Everything that waits for the keeper waits in vain. */
  lose(reason: Error): void {
    if (this.#gone !== undefined) return;
    this.#gone = reason;
    this.#settleFacts.reject(reason);
    for (const { reject } of this.#calls.values()) reject(reason);
    this.#processes.lose("died");
    this.#hooks.onGone?.();
  }

  #restIfIdle(): void {
    if (this.#idleUnref && this.#calls.size === 0 && this.#processes.size === 0) this.#stream.unref?.();
  }

  #take(message: FromKeeper): void {
    switch (message.t) {
      case "lab":
        this.#meet(message.facts);
        break;
      case "ready":
        this.#hooks.onReady?.();
        break;
      case "progress":
        this.#hooks.onProgress?.(message.line);
        break;
      case "done":
        this.#calls.get(message.id)?.resolve(message.value);
        break;
      case "failed":
        if (message.id === null) this.#hooks.onFailed?.(fromWire(message.error));
        else this.#calls.get(message.id)?.reject(fromWire(message.error));
        break;
      default:
        this.#processes.take(message);
    }
  }

  #meet(facts: LabFacts): void {
    if (facts.version === packageVersion()) {
      this.#settleFacts.resolve(facts);
      return;
    }
    const reason = `lab ${facts.name} was started by clusterlock ${facts.version}, and this is ${packageVersion()}`;
    this.lose(new LabError(`${reason}: use that version, or end the lab by it`));
    this.close();
  }
}

export class RemoteCluster implements Cluster {
  readonly nodes: readonly number[];
  readonly stack: Stack;
  readonly facts: LabFacts;
  readonly #connection: KeeperConnection;
  readonly #release: () => Promise<void>;

  /** `release`: what the end of the caller's interest means, see Symbol.asyncDispose. */
  constructor(facts: LabFacts, connection: KeeperConnection, release: () => Promise<void>) {
    this.facts = facts;
    this.nodes = facts.nodes;
    this.stack = facts.stack;
    this.#connection = connection;
    this.#release = release;
  }

  env(node: number): Readonly<Record<string, string>> {
    const { nodes, stack, out } = this.facts;
    const facts = { node: checkNode(node, nodes), nodes: nodes.length, stack, out, lab: NODE_LAB_SOCKET };
    return nodeEnv(facts, process.env);
  }

  exec(node: number, argv: readonly string[], options: ExecOptions = {}): NodeProcess {
    const env = { ...this.env(node), ...options.env };
    return this.#connection.exec({ node, argv: [...argv], cwd: options.cwd ?? workingDirectory(), env });
  }

  async kill(node: number, options: KillOptions = {}): Promise<void> {
    await this.#connection.call("kill", node, options);
  }

  async start(node: number, options: StartOptions = {}): Promise<void> {
    await this.#connection.call("start", node, options);
  }

  async freeze(node: number): Promise<void> {
    await this.#connection.call("freeze", node);
  }

  async thaw(node: number): Promise<void> {
    await this.#connection.call("thaw", node);
  }

  async partition(groups: readonly (readonly number[])[]): Promise<void> {
    await this.#connection.call("partition", groups);
  }

  async heal(): Promise<void> {
    await this.#connection.call("heal");
  }

  async loss(link: Link, percent: number): Promise<void> {
    await this.#connection.call("loss", link, percent);
  }

  async delay(link: Link, ms: number): Promise<void> {
    await this.#connection.call("delay", link, ms);
  }

  async console(node: number): Promise<string> {
    return (await this.#connection.call("console", node)) as string;
  }

  async status(): Promise<ClusterStatus> {
    return (await this.#connection.call("status")) as ClusterStatus;
  }

  /** The lab's logs are wanted when it has ended: something failed in it. */
  async keepLogs(): Promise<void> {
    await this.#connection.call("keepLogs");
  }

  async down(): Promise<void> {
    // one that is gone is down
    await this.#connection.call("down").catch((error: unknown) => {
      if (!(error instanceof LabError)) throw error;
    });
    await this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#release();
  }
}
