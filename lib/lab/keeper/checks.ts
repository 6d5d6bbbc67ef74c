// Node numbers and figures of faults, checked the same way wherever they come from.

import type { KillOptions, Link, StartOptions } from "../cluster";
import { LabOptionError } from "../errors";

export function checkNode(node: unknown, nodes: readonly number[]): number {
  if (typeof node === "number" && nodes.includes(node)) return node;
  throw new LabOptionError(`there is no node ${String(node)} among 1..${nodes.length}`);
}

export function checkGroups(groups: unknown, nodes: readonly number[]): number[][] {
  if (!Array.isArray(groups) || groups.length === 0) throw new LabOptionError("partition: no group is given");
  const seen = new Set<number>();
  const checked = groups.map((group: unknown) => {
    if (!Array.isArray(group) || group.length === 0) throw new LabOptionError("partition: a group is empty");
    return group.map((node: unknown) => {
      const number = checkNode(node, nodes);
      if (seen.has(number)) throw new LabOptionError(`partition: node ${number} is in two places`);
      seen.add(number);
      return number;
    });
  });
  if (checked.length === 1 && seen.size === nodes.length) {
    throw new LabOptionError("partition: all nodes in one group are no partition; use heal");
  }
  return checked;
}

export function checkLink(link: unknown, nodes: readonly number[]): Link {
  if (!Array.isArray(link) || link.length !== 2) throw new LabOptionError("a link is two nodes, as in 1-2");
  const [one, other] = [checkNode(link[0], nodes), checkNode(link[1], nodes)];
  if (one === other) throw new LabOptionError(`node ${one} has no link to itself`);
  return [one, other];
}

export function checkPercent(percent: unknown): number {
  if (typeof percent === "number" && percent >= 0 && percent <= 100) return percent;
  throw new LabOptionError(`loss: ${String(percent)} is not a percentage in 0..100`);
}

const MAX_DELAY_MS = 60_000;

export function checkMs(ms: unknown): number {
  if (typeof ms === "number" && ms >= 0 && ms <= MAX_DELAY_MS) return ms;
  throw new LabOptionError(`delay: ${String(ms)} is not a number of milliseconds in 0..${MAX_DELAY_MS}`);
}

const LOSE = ["none", "some", "all"] as const;

export function checkKill(options: unknown): KillOptions {
  const { lose = "none", seed = 1 } = (options ?? {}) as { lose?: unknown; seed?: unknown };
  const known = LOSE.find((word) => word === lose);
  if (known === undefined) throw new LabOptionError(`lose: ${String(lose)} is none of ${LOSE.join(", ")}`);
  if (typeof seed !== "number" || !Number.isSafeInteger(seed)) {
    throw new LabOptionError(`seed: ${String(seed)} is not a whole number`);
  }
  return { lose: known, seed };
}

export function checkStart(options: unknown): StartOptions {
  const { timeout } = (options ?? {}) as { timeout?: unknown };
  if (timeout === undefined) return {};
  if (typeof timeout === "number" && timeout > 0 && timeout < 2 ** 31) return { timeout };
  throw new LabOptionError("timeout: not a number of milliseconds above 0 and below 2^31");
}
