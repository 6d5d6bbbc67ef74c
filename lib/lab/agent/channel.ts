// The lab's end of one node's control channel, from one power-on to the next power-off.

import { EventEmitter, once } from "node:events";
import type { Duplex } from "node:stream";

import type { Loss, NodeProcess } from "../cluster";
import { LabError, messageOf } from "../errors";
import { Decoder, encode } from "../wire/json-lines";
import { RemoteProcesses } from "../wire/remote-processes";
import type { FromAgent, ToAgent } from "./messages";
import { Tunnel } from "./tunnel";

export interface ExecRequest {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface ChannelHooks {
  /** Gets each connection that a program of the node makes to the lab. */
  readonly onTunnel: (stream: Duplex) => void;
  /** The node wants another off; resolves when it is. */
  readonly onFence: (victim: number) => Promise<void>;
}

export class ControlChannel {
  readonly #events = new EventEmitter<{ hello: []; clock: [number] }>();
  readonly #processes = new RemoteProcesses((message) => {
    this.#send(message);
  });
  readonly #tunnels = new Map<number, Tunnel>();
  readonly #hooks: ChannelHooks | undefined;
  #socket: Duplex | undefined;
  #lost: Loss | null = null;

  /** Settles when the node's agent has spoken. */
  readonly hello: Promise<unknown> = once(this.#events, "hello");

  /** Without hooks, programs of the node do not reach the lab. */
  constructor(hooks?: ChannelHooks) {
    this.#hooks = hooks;
  }

  /** Takes over the connection to the node's agent. */
  connect(socket: Duplex): void {
    this.#socket = socket;
    const decoder = new Decoder<FromAgent>();
    socket.on("data", (chunk: Buffer) => {
      // what a node said before it was cut off, and nobody has read yet, counts no more
      for (const message of decoder.push(chunk)) if (this.#lost === null) this.#take(message);
    });
    // the end of the machine tells the story; see `lose`
    socket.on("error", () => undefined);
  }

  exec(request: ExecRequest): NodeProcess {
    if (this.#lost !== null) return this.#processes.lost(this.#lost);
    return this.#processes.start((id) => {
      this.#send({ t: "exec", id, argv: [...request.argv], cwd: request.cwd, env: { ...request.env } });
    });
  }

  /** The node's clock minus ours in ms, and the time the question took. */
  async clockOffset(signal: AbortSignal): Promise<{ offset: number; took: number }> {
    return this.#clock({ t: "clock" }, signal);
  }

  /** Sets the node's clock to ours, counting on so many ms of delay, and returns what offset remains. */
  async setClock(delay: number, signal: AbortSignal): Promise<{ offset: number; took: number }> {
    await this.#clock({ t: "clock-set", to: Date.now() + delay }, signal);
    return this.clockOffset(signal);
  }

  async #clock(message: ToAgent, signal: AbortSignal): Promise<{ offset: number; took: number }> {
    const asked = Date.now();
    const answer = once(this.#events, "clock", { signal }) as Promise<[number]>;
    this.#send(message);
    const [at] = await answer;
    const answered = Date.now();
    return { offset: at - (asked + answered) / 2, took: answered - asked };
  }

  /** The node is gone: so are its processes and its connections. */
  lose(how: Loss): void {
    this.#lost ??= how;
    this.#processes.lose(how);
    for (const tunnel of this.#tunnels.values()) tunnel.destroy();
    this.#socket?.destroy();
  }

  #send(message: ToAgent): void {
    if (this.#socket?.writable === true) this.#socket.write(encode(message));
  }

  #take(message: FromAgent): void {
    switch (message.t) {
      case "hello":
        this.#events.emit("hello");
        break;
      case "clock":
        this.#events.emit("clock", message.at);
        break;
      case "fence":
        void this.#fence(message.id, message.victim);
        break;
      case "tunnel-open":
        this.#openTunnel(message.id);
        break;
      case "tunnel":
      case "tunnel-end":
        this.#tunnels.get(message.id)?.receive(message);
        break;
      default:
        this.#processes.take(message);
    }
  }

  async #fence(id: number, victim: number): Promise<void> {
    const done = this.#hooks?.onFence(victim) ?? Promise.reject(new LabError("there is nobody to fence a node"));
    const reason = await done.then(() => null, messageOf);
    this.#send({ t: "fenced", id, reason });
  }

  #openTunnel(id: number): void {
    const tunnel = new Tunnel(id, (message) => {
      this.#send(message);
    });
    this.#tunnels.set(id, tunnel);
    tunnel.once("close", () => this.#tunnels.delete(id));
    if (this.#hooks === undefined) tunnel.destroy();
    else this.#hooks.onTunnel(tunnel);
  }
}
