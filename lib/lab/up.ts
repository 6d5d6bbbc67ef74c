// The way from options to a running cluster. Today every cluster is QEMU's.

import type { Cluster } from "./cluster";
import type { LabOptions } from "./options";
import { resolveOptions } from "./options";
import { startQemuCluster } from "./qemu/qemu-cluster";

/** Boots a cluster; resolves when its stack is up on every node. */
export async function up(options: LabOptions = {}): Promise<Cluster> {
  return startQemuCluster(resolveOptions(options));
}
