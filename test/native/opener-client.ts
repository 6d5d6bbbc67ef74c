import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { openerPath, useAddon } from "../../lib/native";
import type { NativeAddon, NativeFile, NativeOpener, NativeOpenerEvent, NativeOpenerRequest } from "../../lib/native";

import { loadDouble, until } from "./double";

/** An answer, as far as tests look at it. */
export type Answer = NativeOpenerEvent;
export type Isolation = "process" | "thread";

export const EXCLUSION = 0;
export const PENDING = 1;
export const USERS = 2;
export const UNLOCK = 0;
export const SHARED = 1;
export const EXCLUSIVE = 2;

interface Pending {
  request: NativeOpenerRequest;
  settle: (answer: Answer) => void;
}

/** An opener whose requests are promises. */
export class Client {
  readonly native: NativeOpener;
  /** How often it was said that the opener is gone. */
  ends: number = 0;
  /** Ids whose local wait is over. */
  readonly phases: Set<number> = new Set();
  /** How many answers came with each wake-up of the loop. */
  readonly batches: number[] = [];
  last: number = 0;
  readonly #pending = new Map<number, Pending>();

  static start(addon: NativeAddon, executable: string, isolation: Isolation): Promise<Client> {
    return new Promise((resolve, reject) => {
      let client: Client | undefined;
      addon.startOpener(
        executable,
        isolation,
        (problem, opener) => {
          if (opener) resolve((client = new Client(opener)));
          else reject(Object.assign(new Error(problem!.syscall), problem));
        },
        (events) => {
          client!.#take(events);
        },
        () => {
          client!.ends++;
        },
      );
    });
  }

  constructor(native: NativeOpener) {
    this.native = native;
    native.setRef(true);
  }

  get unanswered(): number {
    return this.#pending.size;
  }

  /** Its id is `last` afterwards. */
  ask(request: NativeOpenerRequest): Promise<Answer> {
    const id = ++this.last;
    return new Promise((settle) => {
      this.#pending.set(id, { request, settle });
      this.native.request(id, request);
    });
  }

  /** The answer's file, which has to be there. */
  async open(request: NativeOpenerRequest): Promise<NativeFile> {
    const { file, errno, syscall } = await this.ask(request);
    if (!file) throw new Error(`${request.op} ${request.path}: ${syscall} ${errno}`);
    return file;
  }

  cancel(id: number): void {
    this.native.cancel(id);
  }

  #take(events: NativeOpenerEvent[]): void {
    this.batches.push(events.length);
    for (const event of events) {
      if (event.kind === "phase") {
        this.phases.add(event.id);
        continue;
      }
      this.#pending.get(event.id)!.settle(event);
      this.#pending.delete(event.id);
    }
  }
}

export const failure = ({ errno, syscall }: Answer): [number, string] => [-errno, syscall];
export const fdsOf = (pid: number | "self"): string[] => fs.readdirSync(`/proc/${pid}/fd`);
/** Whether it has not yet ended; if init has fetched its status does not matter. */
export function isThere(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens the other side of a FIFO, and so ends the wait of whoever opens it for reading. */
export function grant(file: string): void {
  fs.closeSync(fs.openSync(file, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK));
}

/** Whether nobody else has the range. */
export function isFree(file: NativeFile, name: string, kind: 0 | 1 | 2): boolean {
  const result = file.range(name, kind, EXCLUSIVE);
  if (result === 0) file.range(name, kind, UNLOCK);
  else assert.equal(result, -os.constants.errno.EAGAIN);
  return result === 0;
}

/** A directory and openers for each test. A FIFO's open() waits for its other side: a lock file whose lock is taken. */
export class Bench {
  readonly addon: NativeAddon = loadDouble().addon;
  executable!: string;
  place!: string;
  #clients: Client[] = [];

  /** Registers the hooks of a `describe` block. */
  static on(): Bench {
    const bench = new Bench();
    before(() => {
      useAddon(bench.addon);
      bench.executable = openerPath();
    });
    beforeEach(() => {
      bench.place = fs.mkdtempSync(path.join(os.tmpdir(), "clusterlock-opener-"));
    });
    afterEach(async () => {
      const clients = bench.#clients.splice(0);
      for (const { native } of clients) native.close();
      const pids = clients.map(({ native }) => native.pid).filter((pid) => pid !== process.pid);
      await until("every opener has ended", () => !pids.some(isThere));
      fs.rmSync(bench.place, { recursive: true, force: true });
    });
    return bench;
  }

  async start(isolation: Isolation = "process"): Promise<Client> {
    const client = await Client.start(this.addon, this.executable, isolation);
    this.#clients.push(client);
    return client;
  }

  at(...names: string[]): string {
    return path.join(this.place, ...names);
  }

  fifo(name: string): string {
    execFileSync("mkfifo", [this.at(name)]);
    return this.at(name);
  }

  sidecar(client: Client): Promise<NativeFile> {
    return client.open({ op: "sidecar", path: this.at("run/sidecar"), mode: 0o600 });
  }
}
