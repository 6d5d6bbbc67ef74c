// What the experiments on ocfs2_dlmfs need of a cluster: commands on its nodes, domains, and what debugfs shows.

import assert from "node:assert/strict";

import type { Cluster } from "../../../lib/lab";
import { command } from "../support/shell";

export const sleep = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs a script on a node; it has to succeed. */
export async function sh(cluster: Cluster, node: number, script: string): Promise<string> {
  const { code, stdout, stderr } = await command(cluster, node, ["sh", "-c", script]);
  assert.equal(code, 0, `n${node}: ${script}: ${stderr}`);
  return stdout.trimEnd();
}

/** Joins a domain on its node's /dlm; on fs/dlm with the cluster's name out of the way for the moment. */
export async function join(cluster: Cluster, node: number, domain: string): Promise<void> {
  const blank = `name=/sys/kernel/config/dlm/cluster/cluster_name; old=$(cat $name); printf '\\0' >$name
    mkdir /dlm/${domain}; status=$?; echo "$old" >$name; exit $status`;
  await sh(cluster, node, cluster.stack === "o2cb" ? `mkdir /dlm/${domain}` : blank);
}

/** Drops every lock of the domain that nobody holds, and leaves it. */
export async function leave(cluster: Cluster, node: number, domain: string, mount = "/dlm"): Promise<void> {
  await sh(cluster, node, `find ${mount}/${domain} -type f -delete; rmdir ${mount}/${domain}`);
}

/** What a node's debugfs has of a lock: whether it is the master, the value block there, and the queues' lines. */
export interface Seen {
  readonly master: boolean;
  /** As text without the zeros at its end, "(invalid)" behind it when the kernel says so; null when there is none. */
  readonly lvb: string | null;
  readonly locks: readonly string[];
}

const text = (hex: string): string => Buffer.from(hex, "hex").toString("latin1").replace(/\0+$/, "");

/** null when the node does not know the lock. */
export async function seen(cluster: Cluster, node: number, domain: string, lock: string): Promise<Seen | null> {
  if (cluster.stack === "o2cb") {
    const dump = await sh(cluster, node, `cat /sys/kernel/debug/o2dlm/${domain}/locking_state`);
    const part = dump.split("\n\n").find((some) => some.includes(`NAME:${lock}\n`));
    if (part === undefined) return null;
    const own = await sh(
      cluster,
      node,
      `sed -n 's/.*Thread Pid.*Node: \\([0-9]*\\).*/\\1/p' /sys/kernel/debug/o2dlm/${domain}/dlm_state`,
    );
    return {
      master: /^LRES:\d+,(\d+),/m.exec(part)?.[1] === own,
      lvb: text(/LVBX:(\w+)/.exec(part)?.[1] ?? ""),
      locks: part.split("\n").filter((line) => line.startsWith("LOCK:")),
    };
  }
  const dump = await sh(cluster, node, `cat /sys/kernel/debug/dlm/${domain}`);
  const part = dump.split(/\n(?=Resource )/).find((some) => some.includes(`"${lock}"`));
  if (part === undefined) return null;
  const lvb = /LVB: ([0-9a-f \n]+)(.*)/.exec(part);
  return {
    master: part.includes("Master Copy"),
    lvb: lvb === null ? null : `${text(lvb[1]!.replace(/\s/g, ""))}${/invalid/i.test(part) ? "(invalid)" : ""}`,
    locks: part.split("\n").filter((line) => /^[0-9a-f]{8} /.test(line)),
  };
}
