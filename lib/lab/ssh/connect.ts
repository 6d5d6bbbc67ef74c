// The way from an inventory to a cluster of machines that are there already.

import { mkdir, mkdtemp, realpath, rmdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";

import type { Cluster } from "../cluster";
import { LabError, LabOptionError, messageOf } from "../errors";
import { packageRoot, tempRoot } from "../paths";
import { AGENT } from "./command-line";
import type { SshInventory } from "./inventory";
import { readInventory, resolveInventory } from "./inventory";
import { SshCluster } from "./ssh-cluster";

export interface SshOptions {
  /** Where the nodes' CLUSTERLOCK_OUT comes together at the end. Default: a fresh directory. */
  readonly log?: string;
  /**
   * Milliseconds that a step may take: to reach a host, to switch one, to have its stack up. A host that is silent for a
   * quarter of it counts as gone. Default: two minutes.
   */
  readonly timeout?: number;
  /** Aborting lets go of the cluster; pending calls reject with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told what is going on, one line a call. Default: nobody is told. */
  readonly onProgress?: (line: string) => void;
}

const PATIENCE_MS = 120_000;

/**
 * Takes the machines of an inventory, given as an object or as the path of a JSON file, for a cluster. Resolves when its
 * stack is up on every node.
 */
export async function connectSsh(inventory: string | SshInventory, options: SshOptions = {}): Promise<Cluster> {
  const given = typeof inventory === "string" ? await readInventory(inventory) : inventory;
  return openSshCluster("ssh", given, options);
}

/** The same for a driver that makes the inventory. `onEnd` is called when the cluster is let go of. */
export async function openSshCluster(
  driver: string,
  given: unknown,
  options: SshOptions,
  onEnd: () => Promise<void> = async () => Promise.resolve(),
): Promise<Cluster> {
  const inventory = resolveInventory(given);
  const { timeout = PATIENCE_MS, signal = new AbortController().signal } = options;
  if (!(timeout > 0)) throw new LabOptionError("timeout: not above 0");
  if (!existsSync(AGENT)) throw new LabError(`${AGENT} is missing: run \`npm run build:ts\` in ${packageRoot}`);
  signal.throwIfAborted();
  const out = await openOut(options.log);
  const progress = options.onProgress ?? ((): void => undefined);
  if (options.log === undefined) progress(`the nodes' CLUSTERLOCK_OUT will come to ${out}`);
  const cluster = new SshCluster(inventory, {
    driver,
    out,
    patience: timeout / 1000,
    signal,
    progress,
    onEnd: async () => {
      // a fresh directory that nobody used; one with results stays
      if (options.log === undefined) await rmdir(out).catch(() => undefined);
      await onEnd();
    },
  });
  try {
    await cluster.connect();
  } catch (error) {
    await cluster.down();
    signal.throwIfAborted();
    throw error;
  }
  return cluster;
}

async function openOut(log: string | undefined): Promise<string> {
  try {
    if (log === undefined) return await mkdtemp(path.join(tempRoot(), "clusterlock-out-"));
    await mkdir(log, { recursive: true });
    return await realpath(log);
  } catch (error) {
    throw new LabError(`cannot make the directory for results: ${messageOf(error)}`);
  }
}
