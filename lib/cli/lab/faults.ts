// The verbs of `clusterlock lab` that do something to a running lab.

import type { Cluster, KillOptions } from "../../lab";
import { attach } from "../../lab";
import { OK } from "../exit-codes";
import { UsageError } from "../usage-error";
import { amount, groups, links, nodes, nothingMore, parse, seconds, wholeNumber } from "./values";

const NAME = { name: { type: "string" } } as const;
const LOSE = ["none", "some", "all"] as const;

export async function labKill(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, { ...NAME, lose: { type: "string" }, seed: { type: "string" } });
  const seed = wholeNumber("--seed", values.seed, 0);
  const options: KillOptions = {
    ...(values.lose === undefined ? {} : { lose: losing(values.lose) }),
    ...(seed === undefined ? {} : { seed }),
  };
  return onNodes(values.name, words, async (cluster, node) => cluster.kill(node, options));
}

export async function labStart(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, { ...NAME, timeout: { type: "string" } });
  const timeout = seconds("--timeout", values.timeout);
  const options = timeout === undefined ? {} : { timeout };
  return onNodes(values.name, words, async (cluster, node) => cluster.start(node, options));
}

export async function labFreeze(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, NAME);
  return onNodes(values.name, words, async (cluster, node) => cluster.freeze(node));
}

export async function labThaw(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, NAME);
  return onNodes(values.name, words, async (cluster, node) => cluster.thaw(node));
}

export async function labPartition(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, NAME);
  const parts = groups(words);
  return onLab(values.name, async (cluster) => cluster.partition(parts));
}

export async function labHeal(args: readonly string[]): Promise<number> {
  const [values, words] = parse(args, NAME);
  nothingMore(words);
  return onLab(values.name, async (cluster) => cluster.heal());
}

export async function labLoss(args: readonly string[]): Promise<number> {
  const [values, [link, ...rest]] = parse(args, NAME);
  const percent = amount("loss", "%", rest);
  return onLab(values.name, async (cluster) => {
    for (const each of links(link, cluster.nodes)) await cluster.loss(each, percent);
  });
}

export async function labDelay(args: readonly string[]): Promise<number> {
  const [values, [link, ...rest]] = parse(args, NAME);
  const ms = amount("delay", "ms", rest);
  return onLab(values.name, async (cluster) => {
    for (const each of links(link, cluster.nodes)) await cluster.delay(each, ms);
  });
}

async function onNodes(
  name: string | undefined,
  words: readonly string[],
  act: (cluster: Cluster, node: number) => Promise<void>,
): Promise<number> {
  return onLab(name, async (cluster) => {
    const results = await Promise.allSettled(nodes(words, cluster.nodes).map(async (node) => act(cluster, node)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  });
}

async function onLab(name: string | undefined, act: (cluster: Cluster) => Promise<void>): Promise<number> {
  await using cluster = await attach(name);
  await act(cluster);
  return OK;
}

function losing(text: string): "none" | "some" | "all" {
  const lose = LOSE.find((known) => known === text);
  if (lose === undefined) throw new UsageError(`--lose ${text}: none, some or all`);
  return lose;
}
