// How ocfs2_dlmfs refuses to join, and how a node is lost to it. Only in the long runs: each has a cluster of its own.

import assert from "node:assert/strict";
import { constants } from "node:fs";

import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { command } from "./support/shell";
import { Owner, buildProgram } from "./dlmfs/owner";
import { join, sh, sleep } from "./dlmfs/nodes";

const { O_RDWR: EX, O_CREAT } = constants;

function suites(): void {
  describe("ocfs2_dlmfs: joins that fail", function () {
    this.timeout(240_000);

    it("EINVAL without a configured node, and without a heartbeat; the kernel log has which", async () => {
      await using cluster = await openCluster({ stack: "none", nodes: 1 });
      const mounted = `modprobe -a ocfs2_stack_o2cb ocfs2_dlmfs; mkdir -p /dlm; mount -t ocfs2_dlmfs none /dlm
        mkdir /dlm/d 2>&1; dmesg | tail -5`;
      const first = await sh(cluster, 1, mounted);
      assert.match(first, /Invalid argument/);
      assert.match(first, /o2cb: This node has not been configured/);
      const configured = `mount -t configfs none /sys/kernel/config 2>/dev/null; c=/sys/kernel/config/cluster/lab
        mkdir $c $c/node/node1; echo 7777 >$c/node/node1/ipv4_port; echo 10.0.0.1 >$c/node/node1/ipv4_address
        echo 0 >$c/node/node1/num; echo 1 >$c/node/node1/local; mkdir /dlm/d 2>&1; dmesg | tail -5`;
      const second = await sh(cluster, 1, configured);
      assert.match(second, /Invalid argument/);
      assert.match(second, /o2cb: Local heartbeat has not been started/);
    });

    it("ESRCH on fs/dlm in the old mode without its daemon, which leaves the lockspace behind", async () => {
      await using cluster = await openCluster({ stack: "dlmfs-dlm", nodes: 2 });
      const tried = await sh(
        cluster,
        1,
        `echo 0 >/sys/kernel/config/dlm/cluster/recover_callbacks; mkdir /dlm/d 2>&1; mkdir /dlm/d 2>&1; ls /dlm; dlm_tool ls`,
      );
      assert.match(tried, /No such process\n.*File exists\n/);
      assert.match(tried, /^name +d$/m);
      // and dlm_tool cannot leave what has no device
      assert.match(
        await sh(cluster, 1, "timeout 20 dlm_tool leave d 2>&1; dlm_tool ls"),
        /dlm_open_lockspace d error.*^name +d$/ms,
      );
    });
  });

  describe("ocfs2_dlmfs: umount of a mount with lock files that another node asks for", function () {
    this.timeout(240_000);
    // of each message, each way: long enough to do something while it is on its way
    const DELAY = 3000;

    /** What a node's kernel log and console have, once it matches: the log of a node in trouble may not be read. */
    async function logged(cluster: Cluster, node: number, pattern: RegExp): Promise<string> {
      const deadline = Date.now() + 60_000;
      let text = "";
      while (!pattern.test(text) && Date.now() < deadline) {
        const log = command(cluster, node, ["dmesg"]).then(({ stdout }) => stdout);
        text = (await Promise.race([log, sleep(3000).then(() => "")])) + (await cluster.console(node));
        await sleep(500);
      }
      return text
        .split("\n")
        .filter((line) => /Busy inodes|BUG at/.test(line))
        .join("\n");
    }

    it("while the lock is on its way down: busy inodes after unmount", async () => {
      buildProgram("owner");
      await using cluster = await openCluster({ stack: "o2cb", nodes: 2, cpus: 1 });
      for (const node of [1, 2]) await join(cluster, node, "d");
      const [one, other] = [new Owner(cluster, 1), new Owner(cluster, 2)];
      // node 1 is the master, node 2 has it cached
      for (const owner of [one, other]) await owner.do("close", await owner.opened("/dlm/d/x", EX | O_CREAT));
      await cluster.delay([1, 2], DELAY);
      one.open("/dlm/d/x", EX);
      // the notice has arrived, and the answer to it has not
      await sleep(DELAY * 1.7);
      cluster.exec(2, ["umount", "/dlm"]);
      assert.match(await logged(cluster, 2, /Busy inodes/), /VFS: Busy inodes after unmount of ocfs2_dlmfs/);
    });
  });
}

if (process.env["CLUSTERLOCK_LONG"] !== undefined) suites();
