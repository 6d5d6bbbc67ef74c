// The verbs of `clusterlock lab` that show something, and those that end a lab or its cache.

import type { ClusterStatus } from "../../lab";
import { attach, cleanCache, runningLabs } from "../../lab";
import { LAB_VARIABLE } from "../../lab/labs";
import { attachLab } from "../../lab/up";
import { OK } from "../exit-codes";
import { UsageError } from "../usage-error";
import { interruptible } from "./interrupt";
import { say } from "./say";
import { nodes, nothingMore, parse } from "./values";

const NAME = { name: { type: "string" } } as const;

export async function labStatus(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, { ...NAME, json: { type: "boolean" } });
  nothingMore(words);
  const found = await Promise.all((await meant(values.name)).map(statusOf));
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  } else {
    process.stdout.write(found.length === 0 ? "no lab is up\n" : found.map(table).join("\n"));
  }
  return OK;
}

interface LabStatus extends ClusterStatus {
  readonly name: string;
  /** CLUSTERLOCK_OUT */
  readonly out: string;
  readonly socket: string;
}

async function statusOf(name: string | undefined): Promise<LabStatus> {
  await using lab = await attachLab(name);
  const { name: found, out, socket } = lab.facts;
  return { name: found, out, socket, ...(await lab.status()) };
}

/** Without a name: this node's lab, or all of this machine. */
async function meant(name: string | undefined): Promise<(string | undefined)[]> {
  if (name !== undefined || (process.env[LAB_VARIABLE] ?? "") !== "") return [name];
  return runningLabs();
}

function table(status: LabStatus): string {
  const lines = [
    `lab ${status.name}: stack ${status.stack}, ${status.driver}`,
    ...status.nodes.map(({ node, state, lost, detail }) => {
      const why = [lost, detail].filter((word) => word !== null && word !== "").join(", ");
      return `  n${node}  ${state}${why === "" ? "" : ` (${why})`}`;
    }),
  ];
  if (status.partition !== null) lines.push(`  partition  ${status.partition.map(String).join(" / ")}`);
  for (const { link, loss, delay } of status.links) {
    lines.push(`  link ${link.join("-")}  loss ${loss} %, delay ${delay} ms`);
  }
  lines.push(`  CLUSTERLOCK_OUT  ${status.out}`);
  return `${lines.join("\n")}\n`;
}

const FOLLOW_MS = 200;

export async function labConsole(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, { ...NAME, follow: { type: "boolean", short: "f" } });
  return interruptible(async (signal) => {
    await using cluster = await attach(values.name);
    const [node, another] = nodes(words, cluster.nodes);
    if (node === undefined || another !== undefined) throw new UsageError("console is of one node");
    let shown = 0;
    do {
      const text = await cluster.console(node);
      process.stdout.write(text.slice(shown));
      shown = text.length;
      if (values.follow === true) await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    } while (values.follow === true && !signal.aborted);
    return OK;
  });
}

export async function labDown(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, { ...NAME, all: { type: "boolean" } });
  nothingMore(words);
  const names = values.all === true ? await runningLabs() : [values.name];
  for (const name of names) {
    await using cluster = await attach(name);
    await cluster.down();
  }
  return OK;
}

export async function labClean(args: readonly string[]): Promise<number> {
  const [, words] = parse(args, {});
  nothingMore(words);
  const { freed } = await cleanCache();
  say(`freed ${(freed / 2 ** 20).toFixed(0)} MiB`);
  return OK;
}
