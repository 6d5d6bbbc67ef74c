// What a node's kernel complained of: a test that passes leaves nothing of the kind in its log.

import { text } from "node:stream/consumers";

import type { Cluster } from "../../../lib/lab";

// What a kernel in trouble prints, at the start of its message.
const TROUBLE = [
  /\b(WARNING|BUG|UBSAN|KFENCE):/,
  /kernel BUG at/,
  /\bOops\b/,
  /Kernel panic/,
  /DLM: +Assertion failed/i,
  /general protection fault/,
  /invalid opcode/,
  /unable to handle/i,
  /INFO: task .* blocked for more than/,
  /invoked oom-killer/,
  // a program of ours or of the cluster's crashed
  /\bsegfault at\b/,
  /dlm:.*(error|Unknown command)/,
];

// Complaints that no program causes by what it asks for; docs/kernel-notes.md has each with its proof.
const KNOWN = [
  /WARNING: .* at fs\/dlm\/requestqueue\.c:\d+ dlm_add_requestqueue/,
  // EINTR of a recovery that the next one overtook: nodes that join at once
  /dlm: \S+: dlm_\w+ error -4$/,
];

// An emulated processor stands still while the host has others to serve, and its kernel takes that for a stall after 20
// seconds. One that lasts is reported again with its age, about every 20 seconds for a lockup and every 60 for RCU: only
// then is it the kernel's own. A hung task is a complaint at once: its limit of 120 seconds is long enough.
const STALL_SECONDS = 60;
const HZ = 250; // Debian's kernels on x86-64
const STALLS: readonly { readonly pattern: RegExp; readonly perSecond: number }[] = [
  { pattern: /BUG: soft lockup - CPU#\d+ stuck for (\d+)s/, perSecond: 1 },
  { pattern: /\((?:detected by \d+, )?t=(\d+) jiffies/, perSecond: HZ },
  { pattern: /detected expedited stalls on CPUs\/tasks: \{.*\} (\d+) jiffies/, perSecond: HZ },
];

function isComplaint(line: string): boolean {
  for (const { pattern, perSecond } of STALLS) {
    const age = pattern.exec(line)?.[1];
    if (age !== undefined) return Number(age) / perSecond >= STALL_SECONDS;
  }
  return TROUBLE.some((pattern) => pattern.test(line)) && !KNOWN.some((known) => known.test(line));
}

/** The lines of a kernel log that no test may cause. */
export function complaintsIn(log: string): string[] {
  return log.split("\n").filter(isComplaint);
}

const LIMIT = 30_000;

/** What the kernel of this node complained of; nothing when the node was killed, for its log went with it. */
export async function kernelComplaints(cluster: Cluster, node: number): Promise<string[]> {
  const child = cluster.exec(node, ["dmesg"]);
  child.stdin.end();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, LIMIT, "late");
  });
  const all = Promise.all([text(child.stdout), text(child.stderr), child.exit]);
  const end = await Promise.race([all, late]).finally(() => {
    clearTimeout(timer);
  });
  if (end === "late") return [`n${node}: dmesg did not end within ${LIMIT / 1000} s`];
  const [stdout, stderr, status] = end;
  if (status.lost === "killed") return [];
  if (status.code !== 0) return [`n${node}: dmesg failed: ${JSON.stringify(status)} ${stderr}`];
  return complaintsIn(stdout).map((line) => `n${node}: ${line}`);
}
