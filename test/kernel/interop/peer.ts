// A libdlm program on a node, driven by the test; peer.c is the other end.

import assert from "node:assert/strict";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

import type { Cluster, NodeProcess } from "../../../lib/lab";
import { type LockMode, modeNumber } from "../../../lib/modes";
import { compileC } from "../support/compile";
import { Inbox } from "../support/inbox";

const root = path.resolve(__dirname, "../../..");
const PROGRAM = path.join(root, "build/interop/peer");

/** Builds the program here; the nodes see it at the same path. */
export function buildPeer(): void {
  compileC(path.join(__dirname, "peer.c"), PROGRAM, ["-ldlm"]);
}

export type PeerFlag = "NOQUEUE" | "VALBLK" | "IVVALBLK";

/** What a lock's completion said; `status` is 0 or libdlm's name of an errno. */
export interface Completion {
  status: 0 | "EAGAIN" | "EUNLOCK" | `E${number}`;
  valid: boolean;
  lvb: string;
}

interface Answer {
  event: "done" | "completed" | "blocking" | "refused";
  lock: number;
  status: number;
  flags: number;
  lvb: string;
  errno: number;
}

const VALNOTVALID = 0x02; // DLM_SBF_VALNOTVALID
const STATUS: Partial<Record<number, Completion["status"]>> = {
  0: 0,
  [os.constants.errno.EAGAIN]: "EAGAIN",
  [0x10002]: "EUNLOCK",
};

/** The bytes of a value block as text, without the zeros at its end. */
export function textOf(lvb: string): string {
  return Buffer.from(lvb, "hex").toString().replace(/\0+$/, "");
}

const joined = (flags: PeerFlag[]): string => flags.join("|") || "-";

/** A lock of the C program. One operation at a time. */
export class PeerLock {
  readonly #say: (...words: (string | number)[]) => void;
  readonly #number: number;
  readonly completions: Inbox<Answer>;
  readonly notices: Inbox<Answer>;

  constructor(number: number, say: (...words: (string | number)[]) => void, end: Promise<never>) {
    this.#number = number;
    this.#say = say;
    this.completions = new Inbox(end);
    this.notices = new Inbox(end);
  }

  request(resource: string, mode: LockMode, flags: PeerFlag[] = []): Promise<Completion> {
    // what came for the lock that had this number before
    this.notices.clear();
    return this.#perform("lock", resource, modeNumber(mode), joined(flags));
  }

  convert(mode: LockMode, flags: PeerFlag[] = [], lvb?: string): Promise<Completion> {
    const bytes = Buffer.alloc(32);
    bytes.write(lvb ?? "");
    return this.#perform("convert", modeNumber(mode), joined(flags), lvb === undefined ? "-" : bytes.toString("hex"));
  }

  unlock(flags: PeerFlag[] = []): Promise<Completion> {
    return this.#perform("unlock", joined(flags));
  }

  /** Resolves when a blocking notice has come that was not yet waited for; libdlm does not say for which mode. */
  async blocked(): Promise<void> {
    await this.notices.take();
  }

  async #perform(command: string, ...words: (string | number)[]): Promise<Completion> {
    this.#say(command, this.#number, ...words);
    const answer = await this.completions.take();
    assert.equal(answer.event, "completed", `${command}: ${JSON.stringify(answer)}`);
    const status = STATUS[answer.status] ?? (`E${answer.status}` as const);
    return { status, valid: (answer.flags & VALNOTVALID) === 0, lvb: answer.lvb };
  }
}

export class Peer {
  readonly process: NodeProcess;
  readonly #done: Inbox<Answer>;
  readonly #locks: PeerLock[];
  readonly #complaints: string[] = [];

  constructor(cluster: Cluster, node: number) {
    this.process = cluster.exec(node, [PROGRAM]);
    this.process.stderr.on("data", (chunk: Buffer) => this.#complaints.push(chunk.toString()));
    const end = this.process.exit.then((status) => {
      throw new Error(`the C program ended: ${JSON.stringify(status)} ${this.#complaints.join("")}`);
    });
    end.catch(() => undefined);
    this.#done = new Inbox(end);
    this.#locks = Array.from({ length: 16 }, (_, number) => new PeerLock(number, this.#say, end));
    readline.createInterface({ input: this.process.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      if (answer.event === "done") this.#done.put(answer);
      else if (answer.event === "blocking") this.lock(answer.lock).notices.put(answer);
      else this.lock(answer.lock).completions.put(answer);
    });
  }

  readonly #say = (...words: (string | number)[]): void => {
    this.process.stdin.write(`${words.join(" ")}\n`);
  };

  /** The program's lock of this number, 0 to 15. */
  lock(number: number): PeerLock {
    return this.#locks[number]!;
  }

  create(lockspace: string): Promise<void> {
    return this.#manage("create", lockspace);
  }

  open(lockspace: string): Promise<void> {
    return this.#manage("open", lockspace);
  }

  close(): Promise<void> {
    return this.#manage("close");
  }

  /** Closes the lockspace and leaves it. */
  release(lockspace: string): Promise<void> {
    return this.#manage("release", lockspace);
  }

  async end(signal?: "SIGKILL"): Promise<void> {
    if (signal) this.process.kill(signal);
    else this.process.stdin.end();
    await this.process.exit;
    assert.deepEqual(this.#complaints, []);
  }

  async #manage(...words: string[]): Promise<void> {
    this.#say(...words);
    const { errno } = await this.#done.take();
    assert.equal(errno, 0, words.join(" "));
  }
}
