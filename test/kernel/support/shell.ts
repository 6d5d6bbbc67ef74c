import type * as childProcess from "node:child_process";
import type * as fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import type * as workerThreads from "node:worker_threads";

import type * as clog from "../../../lib/clog";
import type * as dlm from "../../../lib/dlm";
import type * as dlmfs from "../../../lib/dlmfs";
import type { Cluster, NodeProcess } from "../../../lib/lab";
import type { NativeAddon } from "../../../lib/native";

type Dlm = typeof dlm;

/** What a function on a node can use; test/kernel/programs/shell.cjs. */
export interface NodeContext extends Pick<
  Dlm,
  "clusterStatus" | "listLockspaces" | "lockDump" | "orphansOf" | "whoHolds"
> {
  Lockspace: Dlm["Lockspace"];
  DlmError: Dlm["DlmError"];
  Domain: typeof dlmfs.Domain;
  dlmfs: typeof dlmfs;
  clog: typeof clog;
  /** The addon itself. */
  native: NativeAddon;
  fs: typeof fs;
  childProcess: typeof childProcess;
  workerThreads: typeof workerThreads;
  /** Processes that a later call is to find again. */
  children: childProcess.ChildProcess[];
  /** What a test opened, and the locks that a later call is to find again. */
  ls: dlm.Lockspace;
  locks: Record<string, dlm.Lock>;
  domain: dlmfs.Domain;
  held: Record<string, dlmfs.DomainLock>;
  log: string[];
  sleep(ms: number): Promise<void>;
  kernelLocks(lockspace: string): string[];
  /** Numbers in [0, 1) that follow from the seed. */
  dice(seed: number): () => number;
  until(what: string, condition: () => boolean | Promise<boolean>, ms?: number): Promise<void>;
}

interface Answer {
  id?: number;
  value?: unknown;
  error?: { name: string; message: string; stack?: string; code?: string };
  unhandled?: { message: string };
  ready?: true;
}

const PROGRAM = path.resolve(__dirname, "../programs/shell.cjs");

/** A Node process on a cluster node that calls functions for the test. */
export class Shell {
  /** Rejections nobody handled, and whatever was written to standard error: a test that passes leaves none. */
  readonly complaints: string[] = [];
  readonly process: NodeProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #ready: Promise<void>;
  #next = 0;

  constructor(cluster: Cluster, node: number) {
    this.process = cluster.exec(node, [process.execPath, "--expose-gc", PROGRAM]);
    this.process.stderr.on("data", (chunk: Buffer) => this.complaints.push(chunk.toString()));
    let ready: () => void;
    this.#ready = new Promise((resolve) => {
      ready = resolve;
    });
    readline.createInterface({ input: this.process.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      if (answer.ready) ready();
      if (answer.unhandled) this.complaints.push(`unhandled rejection: ${answer.unhandled.message}`);
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
    void this.process.exit.then((status) => {
      const error = { name: "Error", message: `the shell on node ${node} ended: ${JSON.stringify(status)}` };
      for (const settle of this.#waiting.values()) settle({ error });
    });
  }

  /** Calls `fn` on the node. Only its text goes there: it can use its arguments and nothing else from here. */
  async call<A extends unknown[], R>(fn: (node: NodeContext, ...args: A) => R | Promise<R>, ...args: A): Promise<R> {
    await this.#ready;
    const id = this.#next++;
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.process.stdin.write(`${JSON.stringify({ id, source: fn.toString(), args })}\n`);
    });
    this.#waiting.delete(id);
    if (answer.error) {
      const { message, stack, ...rest } = answer.error;
      throw Object.assign(new Error(message), rest, { stack: `${stack ?? message}\n    -- on the node` });
    }
    return answer.value as R;
  }

  async end(): Promise<void> {
    this.process.stdin.end();
    this.process.kill("SIGTERM");
    await this.process.exit;
  }
}

/** Runs a command on a node to its end. */
export async function command(
  cluster: Cluster,
  node: number,
  argv: string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = cluster.exec(node, argv);
  child.stdin.end();
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ends = [child.stdout, child.stderr].map((stream) => new Promise((resolve) => stream.once("end", resolve)));
  const { code } = await child.exit;
  await Promise.all(ends);
  return { code, stdout, stderr };
}
