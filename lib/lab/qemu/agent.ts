// The control agent: runs in every node, started by scripts/lab/node-init. It does what the lab asks over the port, and
// carries the connections of the node's programs to the lab.

import { execFile } from "node:child_process";
import { openSync, read, readdirSync, readFileSync, write } from "node:fs";
import net from "node:net";
import { promisify } from "node:util";

import type { FromAgent, ToAgent, TunnelMessage } from "../agent/messages";
import { PipeMaker } from "../agent/pipes";
import { AgentProcess } from "../agent/process";
import { Tunnel } from "../agent/tunnel";
import { NODE_LAB_SOCKET } from "../paths";
import { Decoder, encode } from "../wire/json-lines";
import { FenceDoor } from "./fence-door";
import { AGENT_PORT } from "./ports";

const SYSFS = "/sys/class/virtio-ports";
const READ_SIZE = 128 * 1024;

function openPort(): number {
  for (const name of readdirSync(SYSFS)) {
    if (readFileSync(`${SYSFS}/${name}/name`, "utf8").trim() === AGENT_PORT) return openSync(`/dev/${name}`, "r+");
  }
  throw new Error(`there is no virtio port ${AGENT_PORT}`);
}

/** Writes from a thread of the pool, one write at a time and in order: the port blocks while the lab is slow. */
class PortWriter {
  readonly #fd: number;
  #queue: Buffer[] = [];
  #busy = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  send(message: FromAgent): void {
    this.#queue.push(encode(message));
    if (!this.#busy) this.#next(Buffer.alloc(0));
  }

  #next(rest: Buffer): void {
    const data = rest.length > 0 ? rest : Buffer.concat(this.#queue.splice(0));
    this.#busy = data.length > 0;
    if (!this.#busy) return;
    write(this.#fd, data, 0, data.length, null, (error, written) => {
      if (error) end(`cannot write to the lab: ${error.message}`);
      this.#next(data.subarray(written));
    });
  }
}

function end(reason: string): never {
  console.error(`clusterlock agent: ${reason}`);
  process.exit(1);
}

class Agent {
  readonly #writer: PortWriter;
  readonly #pipes = new PipeMaker();
  readonly #processes = new Map<number, AgentProcess>();
  readonly #tunnels = new Map<number, Tunnel>();
  readonly #fence = new FenceDoor((id, victim) => {
    this.#writer.send({ t: "fence", id, victim });
  });
  #nextTunnel = 1;

  constructor(fd: number) {
    this.#writer = new PortWriter(fd);
    const server = net.createServer((socket) => {
      this.#connect(socket);
    });
    server.listen(NODE_LAB_SOCKET, () => {
      this.#writer.send({ t: "hello" });
    });
    this.#read(fd, new Decoder<ToAgent>(), Buffer.allocUnsafe(READ_SIZE));
  }

  #read(fd: number, decoder: Decoder<ToAgent>, buffer: Buffer): void {
    read(fd, buffer, 0, buffer.length, null, (error, length) => {
      if (error) end(`cannot read from the lab: ${error.message}`);
      if (length === 0) end("the lab is gone");
      // a copy: the decoder keeps what is not yet a whole message
      for (const message of decoder.push(Buffer.from(buffer.subarray(0, length)))) this.#do(message);
      this.#read(fd, decoder, buffer);
    });
  }

  #do(message: ToAgent): void {
    switch (message.t) {
      case "exec": {
        const { id } = message;
        const send = (answer: FromAgent): void => {
          this.#writer.send(answer);
        };
        const forget = (): void => {
          this.#processes.delete(id);
        };
        this.#processes.set(id, new AgentProcess(message, this.#pipes, send, forget));
        break;
      }
      case "stdin":
        // the process may be gone by now; the lab has been told, or will be
        this.#processes.get(message.id)?.input(Buffer.from(message.d, "base64"));
        break;
      case "stdin-end":
        this.#processes.get(message.id)?.endInput();
        break;
      case "credit":
        this.#processes.get(message.id)?.credit(message.fd, message.n);
        break;
      case "signal":
        this.#processes.get(message.id)?.signal(message.signal);
        break;
      case "tunnel":
      case "tunnel-end":
        this.#tunnels.get(message.id)?.receive(message);
        break;
      case "fenced":
        this.#fence.answer(message.id, message.reason);
        break;
      case "clock":
        this.#writer.send({ t: "clock", at: Date.now() });
        break;
      case "clock-set":
        void this.#setClock(message.to);
        break;
    }
  }

  /** A program of this node wants to talk to the lab. */
  #connect(socket: net.Socket): void {
    const id = this.#nextTunnel++;
    const tunnel = new Tunnel(id, (message: TunnelMessage) => {
      this.#writer.send(message);
    });
    this.#tunnels.set(id, tunnel);
    this.#writer.send({ t: "tunnel-open", id });
    const close = (): void => {
      socket.destroy();
      tunnel.destroy();
      this.#tunnels.delete(id);
    };
    for (const stream of [socket, tunnel]) {
      stream.on("error", close);
      stream.once("close", close);
    }
    socket.pipe(tunnel).pipe(socket);
  }

  // the lab finds out by itself how well that went
  async #setClock(to: number): Promise<void> {
    await promisify(execFile)("date", ["-s", `@${to / 1000}`]).catch(() => undefined);
    this.#writer.send({ t: "clock", at: Date.now() });
  }
}

new Agent(openPort());
