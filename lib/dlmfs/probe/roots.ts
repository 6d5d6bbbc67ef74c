import { statfs } from "node:fs/promises";
import os from "node:os";

interface Roots {
  proc: string;
  sysfs: string;
  configfs: string;
  debugfs: string;
  /** Where the modules of kernels are, by release. */
  modules: string;
  release: string;
  clusterConf: string;
  /** The type of the file system that is mounted at a path. */
  statfsType: (path: string) => Promise<number>;
}

/** @internal Where a probe looks; tests put others in place. */
export const ROOTS: Roots = {
  proc: "/proc",
  sysfs: "/sys",
  configfs: "/sys/kernel/config",
  debugfs: "/sys/kernel/debug",
  modules: "/lib/modules",
  release: os.release(),
  clusterConf: "/etc/ocfs2/cluster.conf",
  statfsType: async (path) => (await statfs(path)).type,
};
