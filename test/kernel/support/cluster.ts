// The cluster that a kernel test runs on: the lab's own, or one that the administrator has.
//
//   CLUSTERLOCK_TEST_INVENTORY=hosts.json   machines reached by ssh, see docs/lab-drivers.md
//   CLUSTERLOCK_TEST_VAGRANT=DIR            those of a Vagrantfile
//   CLUSTERLOCK_TEST_KERNEL=DIR             the lab's, with this kernel

import assert from "node:assert/strict";

import type { Cluster, LabOptions } from "../../../lib/lab";
import { connectSsh, connectVagrant, up } from "../../../lib/lab";

let shared: { what: string; cluster: Cluster } | undefined;

/**
 * The cluster that the suite before this one had, if it was of the same kind, else a new one. It ends when another is
 * opened, or by `endShared()`. For suites that leave its nodes as they were.
 */
export async function shareCluster(options: LabOptions): Promise<Cluster> {
  const what = JSON.stringify(options);
  if (shared?.what === what) return shared.cluster;
  const cluster = await openCluster(options);
  shared = { what, cluster };
  return cluster;
}

export async function endShared(): Promise<void> {
  const ended = shared?.cluster;
  shared = undefined;
  await ended?.down();
}

export async function openCluster(options: LabOptions): Promise<Cluster> {
  await endShared();
  const {
    CLUSTERLOCK_TEST_INVENTORY: inventory = "",
    CLUSTERLOCK_TEST_VAGRANT: vagrant = "",
    CLUSTERLOCK_TEST_KERNEL: kernel = "",
  } = process.env;
  if (inventory === "" && vagrant === "") return up({ ...options, ...(kernel === "" ? {} : { kernel }) });
  const { log, onProgress } = options;
  const known = { ...(log === undefined ? {} : { log }), ...(onProgress === undefined ? {} : { onProgress }) };
  const cluster = await (inventory === "" ? connectVagrant(vagrant, known) : connectSsh(inventory, known));
  const { nodes = 2, stack = "dlm" } = options;
  const has = `${cluster.nodes.length} nodes of stack ${cluster.stack}`;
  const fits = cluster.stack === stack && cluster.nodes.length === nodes;
  if (!fits) await cluster.down();
  assert.ok(fits, `this test is for ${nodes} nodes of stack ${stack}, and the cluster has ${has}`);
  return cluster;
}
