import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";

import type { Cluster, ExitStatus } from "../../lib/lab";
import { complaintsIn, kernelComplaints } from "../kernel/support/kernel-log";

const STAMP = "[   12.345678] ";

describe("the kernel log of a suite", () => {
  // As 6.1 and 6.12 print them.
  for (const line of [
    "WARNING: CPU: 0 PID: 24 at fs/dlm/lock.c:47 dlm_receive_message+0xe7/0xf0 [dlm]",
    "------------[ cut here ]------------\nkernel BUG at fs/dlm/lock.c:1234!",
    "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "BUG: unable to handle page fault for address: ffffffffc0a01000",
    "unable to handle kernel paging request at ffffffffc0a01000",
    "Oops: 0000 [#1] PREEMPT SMP NOPTI",
    "general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1] PREEMPT SMP",
    "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
    "Kernel panic - not syncing: Fatal exception",
    "\nDLM:  Assertion failed on line 1234 of file fs/dlm/lock.c",
    "INFO: task dlm_recoverd:612 blocked for more than 120 seconds.",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 74s! [dlm_recoverd:612]",
    "rcu: \t(t=15752 jiffies g=1021 q=52 ncpus=2)",
    "rcu: \t(detected by 1, t=63007 jiffies, g=1021, q=52 ncpus=2)",
    "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 21000 jiffies s: 49 root: 0x2/.",
    "node invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0",
    "dlm_controld[401]: segfault at 10 ip 00007f3a5c0d1b2e sp 00007ffd3c error 4 in libc.so.6",
    "traps: node[512] trap invalid opcode ip:1a2b3c sp:7ffd3c error:0 in node[400000+2000000]",
    "dlm: pair: dlm_recover_members error -71",
    "dlm: Unknown command passed to DLM device : 12",
  ]) {
    it(`finds: ${line.trim().slice(0, 70)}`, () => {
      const last = line.split("\n").at(-1) ?? "";
      assert.deepEqual(complaintsIn(`${STAMP}fine\n${STAMP}${line.replace("\n", `\n${STAMP}`)}\n`), [STAMP + last]);
    });
  }

  // What a sound kernel says, what is proven to be a false alarm, and what a starved emulator makes it say.
  for (const line of [
    "Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org)",
    "dlm: pair: recover 1",
    "dlm: connecting to 2",
    "RAS: Correctable Errors collector initialized.",
    "WARNING: CPU: 0 PID: 24 at fs/dlm/requestqueue.c:47 dlm_add_requestqueue+0xe7/0xf0 [dlm]",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [swapper/1:0]",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "rcu: \t(t=5250 jiffies g=1021 q=52 ncpus=2)",
    "rcu: \t(detected by 1, t=5252 jiffies, g=1021, q=52 ncpus=2)",
    "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 5251 jiffies s: 49 root: 0x2/.",
  ]) {
    it(`lets pass: ${line.slice(0, 70)}`, () => {
      assert.deepEqual(complaintsIn(STAMP + line), []);
    });
  }

  const clusterWhere = (status: Partial<ExitStatus>, log: string): Cluster =>
    ({
      exec: () => ({
        stdin: new PassThrough(),
        stdout: Readable.from([Buffer.from(log)]),
        stderr: Readable.from([Buffer.from("dmesg: read failed")]),
        exit: Promise.resolve({ code: null, signal: null, lost: null, ...status }),
        kill: () => undefined,
      }),
    }) as unknown as Cluster;

  it("names the node", async () => {
    const found = await kernelComplaints(clusterWhere({ code: 0 }, "BUG: x\n"), 2);
    assert.deepEqual(found, ["n2: BUG: x"]);
  });

  it("that cannot be read is a complaint of its own", async () => {
    const [failed = ""] = await kernelComplaints(clusterWhere({ code: 1 }, ""), 1);
    assert.match(failed, /^n1: dmesg failed: .*read failed/);
    const [died = ""] = await kernelComplaints(clusterWhere({ lost: "died" }, ""), 1);
    assert.match(died, /^n1: dmesg failed: .*died/);
  });

  it("of a node that the test killed is not missed", async () => {
    assert.deepEqual(await kernelComplaints(clusterWhere({ lost: "killed" }, ""), 1), []);
  });
});
