// One caller's connection to the keeper: programs and verbs, from this machine or from inside a node.

import type { Duplex } from "node:stream";

import type { QemuLab } from "../qemu/qemu-lab";
import { Decoder, encode } from "../wire/json-lines";
import { checkGroups, checkKill, checkLink, checkMs, checkNode, checkPercent, checkStart } from "./checks";
import type { FromKeeper, LabFacts, ToKeeper } from "./messages";
import { ServedProcess } from "./served-process";
import { toWire } from "./wire-error";

export interface ConnectionOptions {
  readonly lab: QemuLab;
  readonly facts: LabFacts;
  /** The node that the caller is on; undefined for this machine. */
  readonly from?: number;
  /** The lab is to end, and this process with it. */
  readonly onDown: () => Promise<void>;
}

type Call = Extract<ToKeeper, { t: "call" }>;

export class Connection {
  readonly #stream: Duplex;
  readonly #options: ConnectionOptions;
  readonly #processes = new Map<number, ServedProcess>();

  constructor(stream: Duplex, options: ConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
    const decoder = new Decoder<ToKeeper>();
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const message of decoder.push(chunk)) this.#take(message);
      } catch {
        // not our protocol
        stream.destroy();
      }
    });
    stream.on("error", () => undefined);
    const gone = (): void => {
      for (const process of this.#processes.values()) process.abandon();
      stream.end();
    };
    stream.once("end", gone);
    stream.once("close", gone);
    this.send({ t: "lab", facts: options.facts });
  }

  send(message: FromKeeper): void {
    if (this.#stream.writable) this.#stream.write(encode(message));
  }

  #take(message: ToKeeper): void {
    switch (message.t) {
      case "boot":
        break;
      case "exec":
        this.#exec(message);
        break;
      case "call":
        void this.#answer(message);
        break;
      default:
        this.#processes.get(message.id)?.take(message);
    }
  }

  #exec({ id, node, argv, cwd, env }: Extract<ToKeeper, { t: "exec" }>): void {
    try {
      const process = this.#options.lab.exec(node, { argv, cwd, env });
      const forget = (): void => {
        this.#processes.delete(id);
      };
      this.#processes.set(id, new ServedProcess(id, process, this.send.bind(this), forget));
    } catch (error) {
      const text = Buffer.from(`clusterlock lab: ${toWire(error).message}\n`).toString("base64");
      this.send({ t: "out", id, fd: 2, d: text });
      this.send({ t: "eof", id, fd: 1 });
      this.send({ t: "eof", id, fd: 2 });
      this.send({ t: "exit", id, code: NOT_RUNNABLE, signal: null, lost: null });
    }
  }

  async #answer(call: Call): Promise<void> {
    try {
      const value = await this.#do(call);
      this.send({ t: "done", id: call.id, value });
    } catch (error) {
      this.send({ t: "failed", id: call.id, error: toWire(error) });
    }
  }

  // the type of what comes over a connection is a claim: node numbers and figures are checked before they do anything
  async #do({ verb, args: [first, second] }: Call): Promise<unknown> {
    const { lab, from } = this.#options;
    const { nodes } = lab;
    switch (verb) {
      case "kill":
        await lab.kill(checkNode(first, nodes), checkKill(second), from);
        return undefined;
      case "start":
        await lab.start(checkNode(first, nodes), checkStart(second));
        return undefined;
      case "freeze":
        lab.freeze(checkNode(first, nodes));
        return undefined;
      case "thaw":
        lab.thaw(checkNode(first, nodes));
        return undefined;
      case "partition":
        lab.partition(checkGroups(first, nodes));
        return undefined;
      case "heal":
        lab.heal();
        return undefined;
      case "loss":
        lab.loss(checkLink(first, nodes), checkPercent(second));
        return undefined;
      case "delay":
        lab.delay(checkLink(first, nodes), checkMs(second));
        return undefined;
      case "console":
        return lab.console(checkNode(first, nodes));
      case "status":
        return lab.status();
      case "keepLogs":
        lab.keepLogs();
        return undefined;
      case "down":
        await this.#options.onDown();
        return undefined;
    }
  }
}

/** A shell's word for a program that is there and cannot be run. */
const NOT_RUNNABLE = 126;
