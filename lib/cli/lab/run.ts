// `clusterlock lab run`, `up` and `exec`.

import { pipeline } from "node:stream/promises";

import type { Cluster, RunOptions } from "../../lab";
import { attach, run, runOn, up } from "../../lab";
import { resolveOn } from "../../lab/options";
import { EXIT_TIMEOUT, exitCode } from "../../lab/run";
import { OK } from "../exit-codes";
import { UsageError } from "../usage-error";
import { interruptible } from "./interrupt";
import { LAB_OPTIONS, labOptions } from "./lab-options";
import { say } from "./say";
import { isNodeList, nodeList, nothingMore, parse, seconds, splitCommand } from "./values";

const RUN_OPTIONS = { ...LAB_OPTIONS, on: { type: "string" }, timeout: { type: "string" } } as const;
const EXEC_OPTIONS = {
  name: { type: "string" },
  on: { type: "string" },
  timeout: { type: "string" },
  raw: { type: "boolean" },
} as const;

export async function labRun(args: readonly string[]): Promise<number> {
  const options = parseRun(args);
  return interruptible(async (signal) => run({ ...options, signal, onProgress: say }));
}

export function parseRun(args: readonly string[]): RunOptions {
  const { own, command } = splitCommand(args, RUN_OPTIONS);
  const [values] = parse(own, RUN_OPTIONS);
  const options = { ...labOptions(values), ...commandOptions(command, values) };
  if (options.on !== undefined) resolveOn(options.on, options.nodes ?? 2);
  return options;
}

export async function labUp(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, LAB_OPTIONS);
  nothingMore(words);
  const options = labOptions(values);
  return interruptible(async (signal) => {
    await using cluster = await up({ ...options, keep: true, signal, onProgress: say });
    say(`up until clusterlock lab down: nodes ${cluster.nodes.join(", ")}, stack ${cluster.stack}`);
    return OK;
  });
}

export async function labExec(args: readonly string[]): Promise<number> {
  const split = splitCommand(args, EXEC_OPTIONS);
  let { command } = split;
  const [values] = parse(split.own, EXEC_OPTIONS);
  // `exec 1 CMD` as one would type it
  const [first = ""] = command;
  if (values.on === undefined && command.length > 1 && isNodeList(first)) {
    values.on = first;
    command = command.slice(command[1] === "--" ? 2 : 1);
  }
  const options = commandOptions(command, values);
  return interruptible(async (signal) => {
    await using cluster = await attach(values.name);
    if (values.raw !== true) return await runOn(cluster, options, { signal, onProgress: say });
    const [node, another] = resolveOn(options.on ?? "all", cluster.nodes.length);
    if (node === undefined || another !== undefined) throw new UsageError("--raw is for one node: say which by --on");
    return await execRaw(cluster, node, options, signal);
  });
}

interface Command {
  readonly command: readonly string[];
  readonly on?: "all" | readonly number[];
  readonly timeout?: number;
}

function commandOptions(command: readonly string[], values: { on?: string; timeout?: string }): Command {
  if (command.length === 0) throw new UsageError("a command is missing");
  const timeout = seconds("--timeout", values.timeout);
  return {
    command,
    ...(values.on === undefined ? {} : { on: nodeList("--on", values.on) }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** As ssh does: bytes as they are, and the program's own status. */
async function execRaw(cluster: Cluster, node: number, { command, timeout }: Command, stop: AbortSignal) {
  const child = cluster.exec(node, command);
  const limit = timeout === undefined ? stop : AbortSignal.any([stop, AbortSignal.timeout(timeout)]);
  const onAbort = (): void => {
    child.kill("SIGTERM");
    child.stdout.destroy();
    child.stderr.destroy();
  };
  limit.addEventListener("abort", onAbort, { once: true });
  process.stdin.on("error", () => undefined);
  process.stdin.pipe(child.stdin);
  try {
    const outputs = [
      pipeline(child.stdout, process.stdout, { end: false, signal: limit }),
      pipeline(child.stderr, process.stderr, { end: false, signal: limit }),
    ];
    const [status] = await Promise.all([child.exit, ...outputs]);
    return exitCode(status);
  } catch (error) {
    if (limit.aborted && !stop.aborted) return EXIT_TIMEOUT;
    throw error;
  } finally {
    limit.removeEventListener("abort", onAbort);
    process.stdin.unpipe(child.stdin);
    process.stdin.destroy();
  }
}
