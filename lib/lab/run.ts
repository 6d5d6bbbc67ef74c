// One command on the nodes of a cluster: its output line by line, its exit status as one number.

import os from "node:os";
import type { Writable } from "node:stream";

import { startLab } from "./client/keeper-process";
import type { Cluster, ExitStatus } from "./cluster";
import { LabOptionError } from "./errors";
import { LineCopy } from "./line-copy";
import type { LabOptions } from "./options";
import { planLab, resolveOn } from "./options";
import { workingDirectory } from "./paths";

export const EXIT_TIMEOUT = 124;
export const EXIT_NODE_DIED = 137;

const MAX_TIMER_MS = 2 ** 31;

export interface CommandOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Where it starts; default "all". */
  readonly on?: "all" | readonly number[];
  /** Milliseconds after which it has to have ended everywhere; default: no limit. */
  readonly timeout?: number;
  readonly stdout?: Writable;
  readonly stderr?: Writable;
}

export type RunOptions = LabOptions & CommandOptions;

/**
 * Boots a cluster, runs the command in it and takes it down. Resolves to 0 if the command's status was 0 on all nodes,
 * else to the first that was not; to 124 on time-out; 137 stands for a node that died or was fenced under
 * the command.
 */
export async function run(options: RunOptions): Promise<number> {
  // before minutes are spent on a cluster
  const plan = planLab(options);
  checkCommand(options, plan.nodes);
  workingDirectory();
  await using lab = await startLab(plan, options, false);
  const status = await runOn(lab, options, options);
  if (status !== 0) await lab.keepLogs();
  await lab.down();
  return status;
}

/** Runs the command in a cluster that is up already. */
export async function runOn(
  cluster: Cluster,
  options: CommandOptions,
  { signal, onProgress }: Pick<LabOptions, "signal" | "onProgress"> = {},
): Promise<number> {
  const nodes = checkCommand(options, cluster.nodes.length);
  const off = (await cluster.status()).nodes.filter(({ state }) => state === "off").map(({ node }) => node);
  const running = new Set(nodes);
  let first = 0;
  const all = Promise.all(
    nodes.map(async (node) => {
      const there = !off.includes(node);
      if (!there) onProgress?.(`n${node} is off`);
      const status = there ? await statusOf(cluster, node, await runOne(cluster, node, options)) : EXIT_NODE_DIED;
      running.delete(node);
      if (first === 0) first = status;
    }),
  );
  const limit = timeLimit(options.timeout, signal);
  try {
    if ((await Promise.race([all, limit.reached])) !== "timeout") return first;
    const names = [...running].map((node) => `n${node}`).join(", ");
    onProgress?.(`time-out after ${(options.timeout ?? 0) / 1000} s; still running on ${names}`);
    return EXIT_TIMEOUT;
  } finally {
    limit.clear();
  }
}

function checkCommand(options: CommandOptions, nodes: number): readonly number[] {
  if (options.command[0] === undefined || options.command[0] === "") throw new LabOptionError("command: none is given");
  const { timeout } = options;
  // a timer that is longer fires at once
  if (timeout !== undefined && !(timeout > 0 && timeout < MAX_TIMER_MS)) {
    throw new LabOptionError(`timeout: ${timeout} is not a number of milliseconds in 1..${MAX_TIMER_MS - 1}`);
  }
  return resolveOn(options.on ?? "all", nodes);
}

async function runOne(cluster: Cluster, node: number, options: CommandOptions): Promise<ExitStatus> {
  const child = cluster.exec(node, options.command);
  child.stdin.end();
  const copies = [
    new LineCopy(`[n${node}] `, child.stdout, options.stdout ?? process.stdout),
    new LineCopy(`[n${node}] `, child.stderr, options.stderr ?? process.stderr),
  ];
  const ends = Promise.all(copies.map(async (copy) => copy.done));
  // the first to come: a reader of ours that went away must not go unnoticed
  const status = await Promise.race([child.exit, ends.then(async () => child.exit)]);
  // a child left in the background may hold the streams open for ever
  await Promise.race([ends, Promise.all(copies.map(async (copy) => copy.quiet(GRACE_MS)))]);
  return status;
}

/** How long nothing has to come from a program that has ended, until its output counts as complete. */
const GRACE_MS = 2000;

async function statusOf(cluster: Cluster, node: number, status: ExitStatus): Promise<number> {
  if (status.lost !== "killed") return exitCode(status);
  // a power cut that the command asked for, from inside the cluster, is no failure of it
  const { nodes } = await cluster.status();
  return nodes.some((one) => one.node === node && one.by !== null) ? 0 : EXIT_NODE_DIED;
}

export function exitCode(status: ExitStatus): number {
  if (status.lost !== null) return EXIT_NODE_DIED;
  if (status.signal !== null) return 128 + os.constants.signals[status.signal];
  return status.code ?? 0;
}

interface TimeLimit {
  /** Rejects when the signal aborts. */
  readonly reached: Promise<"timeout">;
  clear(): void;
}

function timeLimit(ms: number | undefined, signal: AbortSignal | undefined): TimeLimit {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: () => void = () => undefined;
  const reached = new Promise<"timeout">((resolve, reject) => {
    if (ms !== undefined) {
      timer = setTimeout(() => {
        resolve("timeout");
      }, ms);
    }
    onAbort = (): void => {
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  });
  reached.catch(() => undefined);
  return {
    reached,
    clear: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
