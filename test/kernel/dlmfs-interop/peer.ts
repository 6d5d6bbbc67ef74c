// A libo2dlm program on a node, driven by the test; peer.c is the other end.

import assert from "node:assert/strict";
import path from "node:path";
import readline from "node:readline";

import type { Cluster, NodeProcess } from "../../../lib/lab";
import { compileC } from "../support/compile";
import { Inbox } from "../support/inbox";

const root = path.resolve(__dirname, "../../..");
const PROGRAM = path.join(root, "build/dlmfs-interop/peer");

/** Builds the program here; the nodes see it at the same path. */
export function buildPeer(): void {
  compileC(path.join(__dirname, "peer.c"), PROGRAM, ["-lo2dlm", "-lcom_err", "-ldl"]);
}

export type Mode = "PR" | "EX";

interface Answer {
  event: "done" | "blocking";
  /** libo2dlm's name of it without its O2DLM_ET_, or "" */
  error: string;
  lvb: string;
  name: string;
}

/** One command at a time: a lock that is not granted keeps the program from the next. */
export class Peer {
  readonly process: NodeProcess;
  readonly #done: Inbox<Answer>;
  readonly #notices: Inbox<Answer>;
  readonly #complaints: string[] = [];

  constructor(cluster: Cluster, node: number) {
    this.process = cluster.exec(node, [PROGRAM]);
    this.process.stderr.on("data", (chunk: Buffer) => this.#complaints.push(chunk.toString()));
    const end = this.process.exit.then((status) => {
      throw new Error(`the C program ended: ${JSON.stringify(status)} ${this.#complaints.join("")}`);
    });
    end.catch(() => undefined);
    this.#done = new Inbox(end);
    this.#notices = new Inbox(end);
    readline.createInterface({ input: this.process.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      (answer.event === "done" ? this.#done : this.#notices).put(answer);
    });
  }

  async initialize(mount: string, domain: string): Promise<void> {
    assert.equal(await this.#perform("initialize", mount, domain), "");
  }

  async lock(name: string, mode: Mode): Promise<void> {
    assert.equal(await this.#perform("lock", name, mode), "");
  }

  /** Whether the kernel granted it at once. */
  async tryLock(name: string, mode: Mode): Promise<boolean> {
    const error = await this.#perform("trylock", name, mode);
    if (error !== "") assert.equal(error, "TRYLOCK_FAILED");
    return error === "";
  }

  async lockWithBast(name: string, mode: Mode): Promise<void> {
    // what came for those that were held before
    this.#notices.clear();
    assert.equal(await this.#perform("lock_with_bast", name, mode), "");
  }

  /** Resolves to the name of a lock that is in another's way, once for each that was taken by `lockWithBast`. */
  async blocked(): Promise<string> {
    return (await this.#notices.take()).name;
  }

  async unlock(name: string): Promise<void> {
    assert.equal(await this.#perform("unlock", name), "");
  }

  /** The error that libo2dlm has, or "". */
  drop(name: string): Promise<string> {
    return this.#perform("drop", name);
  }

  async readLvb(name: string): Promise<Buffer> {
    this.#say("read_lvb", name);
    const { error, lvb } = await this.#done.take();
    assert.equal(error, "");
    return Buffer.from(lvb, "hex");
  }

  async writeLvb(name: string, value: Uint8Array): Promise<void> {
    assert.equal(await this.#perform("write_lvb", name, Buffer.from(value).toString("hex")), "");
  }

  /** The error that libo2dlm has, or "". */
  destroy(): Promise<string> {
    return this.#perform("destroy");
  }

  async end(signal?: "SIGKILL"): Promise<void> {
    if (signal) this.process.kill(signal);
    else this.process.stdin.end();
    await this.process.exit;
    assert.deepEqual(this.#complaints, []);
  }

  #say(...words: string[]): void {
    this.process.stdin.write(`${words.join(" ")}\n`);
  }

  async #perform(...words: string[]): Promise<string> {
    this.#say(...words);
    return (await this.#done.take()).error;
  }
}
