// How ocfs2_dlmfs refuses to join, and how a node is lost to it. Only in the long runs: each has a cluster of its own.

import assert from "node:assert/strict";
import { constants } from "node:fs";

import { openCluster } from "./support/cluster";
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
      // and what takes it away again: a leave with dlm_tool, which knows nothing of who made it
      assert.match(await sh(cluster, 1, "timeout 20 dlm_tool leave d 2>&1; dlm_tool ls"), /^((?!name +d).)*$/s);
      await sh(cluster, 1, "echo 1 >/sys/kernel/config/dlm/cluster/recover_callbacks");
      await join(cluster, 1, "d");
    });
  });

  describe("ocfs2_dlmfs: umount with lock files that another node asks for", function () {
    this.timeout(240_000);

    it("is a BUG of the kernel's", async () => {
      buildProgram("owner");
      await using cluster = await openCluster({ stack: "o2cb", nodes: 2 });
      for (const node of [1, 2]) await join(cluster, node, "d");
      const [one, two] = [new Owner(cluster, 1), new Owner(cluster, 2)];
      const names = Array.from({ length: 8 }, (_, i) => `/dlm/d/${i}`);
      // node 1 is their master, node 2 has them cached
      for (const name of names) {
        for (const owner of [one, two]) await owner.do("close", await owner.opened(name, EX | O_CREAT));
      }
      // an unlock takes a second to arrive, and so long the inode is on its way out while the lock is still there
      await cluster.delay([1, 2], 1000);
      const unmounting = cluster.exec(2, ["umount", "/dlm"]);
      unmounting.stdout.resume();
      unmounting.stderr.resume();
      await sleep(400);
      for (const name of names) one.open(name, EX);
      const console2 = async (): Promise<string> => cluster.console(2);
      const deadline = Date.now() + 30_000;
      while (!(await console2()).includes("kernel BUG at") && Date.now() < deadline) await sleep(500);
      const shown = await console2();
      assert.match(shown, /kernel BUG at fs\/ocfs2\/dlmfs\/userdlm\.c:\d+/);
      console.log(
        `        ${shown
          .split("\n")
          .filter((line) => /kernel BUG|RIP: 0010|Workqueue|Kernel panic/.test(line))
          .join("\n        ")}`,
      );
    });
  });
}

if (process.env["CLUSTERLOCK_LONG"] !== undefined) suites();
