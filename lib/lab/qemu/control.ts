// The lab's end of one node's control channel.

import { EventEmitter, once } from "node:events";
import type { Socket } from "node:net";

import type { ExitStatus, NodeProcess } from "../cluster";
import { RemoteProcess } from "./remote-process";
import type { FromAgent, ToAgent } from "./protocol";
import { Decoder, encode } from "./protocol";

export interface ExecRequest {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export class ControlChannel {
  readonly #events = new EventEmitter<{ hello: []; clock: [number] }>();
  readonly #processes = new Map<number, RemoteProcess>();
  #socket: Socket | undefined;
  #lost: ExitStatus["lost"] = null;
  #nextId = 1;

  /** Settles when the node's agent has spoken. */
  readonly hello: Promise<unknown> = once(this.#events, "hello");

  /** Takes over the connection that QEMU opened for the node's port. */
  connect(socket: Socket): void {
    this.#socket = socket;
    const decoder = new Decoder<FromAgent>();
    socket.on("data", (chunk) => {
      for (const message of decoder.push(chunk)) this.#take(message);
    });
    // QEMU's end tells the story; see `lose`
    socket.on("error", () => undefined);
  }

  exec(request: ExecRequest): NodeProcess {
    const id = this.#nextId++;
    const process = new RemoteProcess(id, (message) => {
      this.#send(message);
    });
    if (this.#lost !== null) {
      process.lose(this.#lost);
      return process;
    }
    this.#processes.set(id, process);
    void process.finished.then(() => this.#processes.delete(id));
    this.#send({ t: "exec", id, argv: [...request.argv], cwd: request.cwd, env: { ...request.env } });
    return process;
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

  /** The node is gone: so are its processes. */
  lose(how: "died" | "killed"): void {
    this.#lost ??= how;
    for (const process of this.#processes.values()) process.lose(how);
    this.#processes.clear();
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
      case "out":
        this.#processes.get(message.id)?.output(message.fd, Buffer.from(message.d, "base64"));
        break;
      case "eof":
        this.#processes.get(message.id)?.outputEnd(message.fd);
        break;
      case "stdin-done":
        this.#processes.get(message.id)?.inputDone(message.gone);
        break;
      case "exit":
        this.#processes.get(message.id)?.exited(message.code, message.signal);
        break;
    }
  }
}
