// The arguments of `clusterlock lab run`.

import { parseArgs } from "node:util";

import type { RunOptions } from "../lab";
import { fencingMode, MAX_NODES, resolveOn, stackName } from "../lab/options";

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export type LabRunArgs = Omit<RunOptions, "signal" | "onProgress" | "stdout" | "stderr">;

export const LAB_HELP: string = `usage: clusterlock lab run [OPTION...] [--] CMD [ARG...]

Boots a cluster of virtual machines that see this machine's files at the same paths, runs CMD on its nodes
as root in the current directory, and throws the cluster away. Output lines are prefixed [n1], [n2], ...

  --nodes N       number of nodes, 1..${MAX_NODES} (default 2)
  --stack S       dlm (default): corosync and dlm_controld, cluster name "lab"
                  none: no cluster; the kernel's modules can be loaded
  --on all|1,2    nodes that CMD runs on (default all)
  --fencing off   nodes that vanish are not fenced (default; "on" is not there yet)
  --cpus N        processors of each node (default 1)
  --memory MIB    memory of each node (default 1024)
  --timeout SEC   give CMD so much time from its start (default no limit)
  --log DIR       directory for CLUSTERLOCK_OUT and the nodes' consoles (default: a fresh one)

CMD finds CLUSTERLOCK_NODE, CLUSTERLOCK_NODES, CLUSTERLOCK_STACK and CLUSTERLOCK_OUT, a directory of this
machine that every node can write and that remains. The exit status is 0 if CMD's was 0 on all nodes, else
the first that was not; 124 on time-out; 125 when the lab itself failed; 137 for a node that died under CMD.

CLUSTERLOCK_LAB_ACCEL=kvm|tcg in the environment decides how nodes are run, without a probe for KVM.
`;

const OPTIONS = {
  nodes: { type: "string" },
  stack: { type: "string" },
  on: { type: "string" },
  fencing: { type: "string" },
  cpus: { type: "string" },
  memory: { type: "string" },
  timeout: { type: "string" },
  log: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** Undefined when help is asked for. */
export function parseLabRun(args: readonly string[]): LabRunArgs | undefined {
  const { own, command } = splitCommand(args);
  const { values } = parse(own);
  if (values.help === true) return undefined;
  if (command.length === 0) throw new UsageError("a command is missing");
  const nodes = wholeNumber("--nodes", values.nodes, 1, MAX_NODES);
  const cpus = wholeNumber("--cpus", values.cpus, 1);
  const memory = wholeNumber("--memory", values.memory, 1);
  const timeout = seconds("--timeout", values.timeout);
  const on = nodeList(values.on);
  if (on !== undefined) resolveOn(on, nodes ?? 2);
  return {
    command,
    ...(nodes === undefined ? {} : { nodes }),
    ...(values.stack === undefined ? {} : { stack: stackName(values.stack) }),
    ...(on === undefined ? {} : { on }),
    ...(values.fencing === undefined ? {} : { fencing: fencingMode(values.fencing) }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memory }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(values.log === undefined ? {} : { log: values.log }),
  };
}

// CMD begins after "--", or at the first word that is neither an option nor an option's value: its options are its own
function splitCommand(args: readonly string[]): { own: string[]; command: string[] } {
  let index = 0;
  for (let word = args[index]; word !== undefined; word = args[index]) {
    if (word === "--") return { own: args.slice(0, index), command: args.slice(index + 1) };
    if (!word.startsWith("-")) break;
    const takesNext = !word.includes("=") && word !== "--help" && word !== "-h";
    index += takesNext ? 2 : 1;
  }
  return { own: args.slice(0, index), command: args.slice(index) };
}

type Values = Partial<Record<Exclude<keyof typeof OPTIONS, "help">, string>> & { help?: boolean };

function parse(args: string[]): { values: Values } {
  try {
    return parseArgs({ args, options: OPTIONS, strict: true, allowPositionals: false });
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split(/\.\s|\n/)[0] ?? "") : String(error));
  }
}

function wholeNumber(option: string, text: string | undefined, min: number, max?: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= (max ?? Infinity)) return value;
  throw new UsageError(`${option} ${text}: not a whole number ${max === undefined ? "above 0" : `in ${min}..${max}`}`);
}

function seconds(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : NaN;
  // a timer that is longer fires at once
  if (value > 0 && value < 2 ** 31) return value;
  throw new UsageError(`${option} ${text}: not a number of seconds`);
}

function nodeList(text: string | undefined): "all" | number[] | undefined {
  if (text === undefined || text === "all") return text;
  if (/^\d+(?:,\d+)*$/.test(text)) return text.split(",").map(Number);
  throw new UsageError(`--on ${text}: neither "all" nor node numbers as in 1,2`);
}
