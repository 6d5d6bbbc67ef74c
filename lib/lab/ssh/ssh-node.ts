// One node of the ssh driver: its session, and what became of it.

import { setTimeout as sleep } from "node:timers/promises";

import type { ExitStatus, Loss, NodeProcess, NodeStatus, StartOptions } from "../cluster";
import { LabError, messageOf } from "../errors";
import type { ExecRequest } from "../agent/channel";
import { agentCommand } from "./command-line";
import { Connection } from "./connection";
import { hostCommand, needed } from "./host-command";
import type { Host } from "./inventory";

/** How a session ended: with its node, or "cut" while the node lived on. */
type Verdict = Loss | "cut";

interface Session {
  readonly connection: Connection;
  readonly verdict: Promise<Verdict>;
}

const PING_EVERY_MS = 5000;
const ATTEMPT_S = 30;
const RETRY_MS = 500;

export interface NodeHooks {
  /** Makes the node one of the cluster's again: after its boot, or when only the session was lost. */
  readonly onSession: (node: SshNode, why: "boot" | "session") => Promise<void>;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
  /** Seconds that a step may take. */
  readonly patience: number;
}

export class SshNode {
  readonly number: number;
  readonly host: Host;
  readonly #command: readonly string[];
  readonly #hooks: NodeHooks;
  #session: Session | undefined;
  #state: NodeStatus["state"] = "booting";
  #lost: Loss | null = null;
  #detail = "";
  /** The boot in which it was last lost. */
  #lostBoot: string | undefined;
  #powerCut: Promise<boolean> | undefined;
  #closing = false;

  constructor(number: number, host: Host, node: string, hooks: NodeHooks) {
    this.number = number;
    this.host = host;
    this.#command = agentCommand(host, node);
    this.#hooks = hooks;
  }

  /** The first session; the cluster is found as it is. */
  async connect(): Promise<void> {
    try {
      this.#adopt(await Connection.open(this.#command, this.#hooks.patience, this.#hooks.signal));
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      throw new LabError(`n${this.number} (${this.host.ssh}): ${error.message}`);
    }
  }

  get greeting(): Connection["greeting"] {
    return this.#current.connection.greeting;
  }

  /** Whether programs can be started on it now. */
  get reachable(): boolean {
    return this.#state === "up" || this.#state === "booting";
  }

  exec(request: ExecRequest): NodeProcess {
    const { connection, verdict } = this.#current;
    const process = connection.channel.exec(request);
    const exit = process.exit.then(async (status): Promise<ExitStatus> => {
      if (status.lost === null) return status;
      const how = await verdict;
      // its agent has ended it
      return how === "cut" ? { code: null, signal: "SIGKILL", lost: null } : { ...status, lost: how };
    });
    const kill = (signal?: NodeJS.Signals): void => {
      process.kill(signal);
    };
    return { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, exit, kill };
  }

  async kill(): Promise<void> {
    const off = this.#run("powerOff");
    this.#powerCut = off.then(
      () => true,
      () => false,
    );
    try {
      await off;
      this.#gone("killed", "its power was cut");
      this.#session?.connection.cut();
      await this.#session?.verdict;
    } finally {
      this.#powerCut = undefined;
    }
  }

  async start(options: StartOptions): Promise<void> {
    if (this.#state !== "off") throw new LabError(`n${this.number} is not off`);
    const seconds = options.timeout === undefined ? this.#hooks.patience : options.timeout / 1000;
    this.#state = "booting";
    try {
      await this.#run("powerOn");
      const connection = await this.#reach(seconds);
      this.#hooks.signal.throwIfAborted();
      if (connection === undefined) throw new LabError(`n${this.number}: waited ${seconds} s for ssh in vain`);
      this.#adopt(connection);
      if (this.greeting.bootId === this.#lostBoot) {
        throw new LabError(`n${this.number} was never off: it still runs as before it was lost`);
      }
      await this.#hooks.onSession(this, "boot");
      this.#up("");
    } catch (error) {
      this.#state = "off";
      this.#detail = messageOf(error);
      this.#session?.connection.cut();
      throw error;
    }
  }

  async freeze(): Promise<void> {
    needed(this.number, this.host, "thaw");
    if (this.#state !== "up") throw new LabError(`n${this.number} is not up`);
    this.#state = "frozen";
    try {
      await this.#run("freeze");
    } catch (error) {
      this.#state = "up";
      throw error;
    }
  }

  async thaw(): Promise<void> {
    if (this.#state !== "frozen") throw new LabError(`n${this.number} is not frozen`);
    await this.#run("thaw");
    this.#state = "up";
  }

  /** The node's stack is up: the cluster has begun. */
  ready(): void {
    if (this.#state === "booting") this.#up("");
  }

  async status(): Promise<NodeStatus> {
    if (this.#state === "up" && !(await this.#current.connection.answers(this.#silence))) {
      return { ...this.#status(), detail: "it does not answer" };
    }
    return this.#status();
  }

  async close(): Promise<void> {
    this.#closing = true;
    const session = this.#session;
    if (session === undefined) return;
    if (this.#state === "frozen") session.connection.cut();
    await session.connection.close();
    await session.verdict;
  }

  /** Seconds without an answer until the session counts as lost, and then until a node that cannot be reached as gone. */
  get #silence(): number {
    return this.#hooks.patience / 4;
  }

  #status(): NodeStatus {
    return { node: this.number, state: this.#state, lost: this.#lost, by: null, detail: this.#detail };
  }

  get #current(): Session {
    if (this.#session === undefined) throw new LabError(`n${this.number} was never reached`);
    return this.#session;
  }

  #adopt(connection: Connection): void {
    const verdict = connection.ended.then(async (reason) => this.#judge(connection, reason));
    this.#session = { connection, verdict };
    void this.#watch(connection);
  }

  // a node that loses its power ends no connection
  async #watch(connection: Connection): Promise<void> {
    const ended = new AbortController();
    void connection.ended.then(() => {
      ended.abort();
    });
    for (;;) {
      await sleep(PING_EVERY_MS, undefined, { signal: ended.signal }).catch(() => undefined);
      if (ended.signal.aborted) return;
      if (this.#state === "frozen" || (await connection.answers(this.#silence))) continue;
      // it may have been frozen while it was asked
      if (this.reachable) connection.cut();
    }
  }

  async #judge(connection: Connection, reason: string): Promise<Verdict> {
    const { bootId } = connection.greeting;
    if (await this.#powerCut) return "killed";
    if (this.#isClosing()) return "cut";
    if (this.#state === "off") return this.#lost ?? "died";
    this.#hooks.progress(`n${this.number}: ssh ended (${reason}); looking whether the node is alive`);
    const again = await this.#reach(this.#silence);
    if ((await this.#powerCut) || this.#isLost("killed")) {
      again?.cut();
      return "killed";
    }
    if (this.#isClosing()) {
      again?.cut();
      return "cut";
    }
    if (again === undefined) {
      this.#gone("died", `ssh ended (${reason}), and it does not answer since`);
      return "died";
    }
    const same = again.greeting.bootId === bootId;
    this.#adopt(again);
    if (this.#state === "frozen") this.#state = "up";
    this.#detail = same ? "" : "it has booted by itself; nobody has looked at its stack";
    this.#lost = same ? null : "died";
    this.#hooks.progress(
      `n${this.number}: ${same ? "it is alive, its programs were ended" : "it has booted by itself"}`,
    );
    await this.#hooks.onSession(this, "session").catch((error: unknown) => {
      this.#detail = messageOf(error);
    });
    return same ? "cut" : "died";
  }

  async #reach(seconds: number): Promise<Connection | undefined> {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const left = (deadline - performance.now()) / 1000;
      if (left <= 0 || this.#closing || this.#state === "off" || this.#hooks.signal.aborted) return undefined;
      try {
        return await Connection.open(this.#command, Math.min(left, ATTEMPT_S), this.#hooks.signal);
      } catch (error) {
        this.#detail = messageOf(error);
      }
      await sleep(RETRY_MS);
    }
  }

  async #run(what: "powerOff" | "powerOn" | "freeze" | "thaw"): Promise<void> {
    await hostCommand(this.number, this.host, what, this.#hooks.patience, this.#hooks.signal);
  }

  // while something is awaited these change
  #isClosing(): boolean {
    return this.#closing;
  }

  #isLost(how: Loss): boolean {
    return this.#lost === how;
  }

  #gone(how: Loss, detail: string): void {
    this.#state = "off";
    this.#lostBoot = this.#session?.connection.greeting.bootId;
    this.#lost = how;
    this.#detail = detail;
  }

  #up(detail: string): void {
    this.#state = "up";
    this.#lost = null;
    this.#detail = detail;
  }
}
