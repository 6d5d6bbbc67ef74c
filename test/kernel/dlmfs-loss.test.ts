// What takes a domain away from under an open file, and that it is told before another node is granted the lock.

import assert from "node:assert/strict";

import type { Cluster, NodeProcess } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { FileHolder, joinDomain } from "./support/domain";
import { command } from "./support/shell";

const WATCH = require.resolve("../../dist/dlmfs/watch");
const CONFIG = "/sys/kernel/config/cluster/lab";

/** A program on a node that watches over the domain, and prints what it is told. */
class Watcher {
  readonly process: NodeProcess;
  text = "";

  constructor(cluster: Cluster, node: number, stack: "o2cb" | "fs/dlm") {
    const source = `const { watchDomain } = require(${JSON.stringify(WATCH)});
      watchDomain(${JSON.stringify(stack)}, "d", (why) => console.log("lost: " + why), (on) => console.log("stall " + on));
      setInterval(() => {}, 1e6);
      setTimeout(console.log, 1000, "watching");`;
    this.process = cluster.exec(node, [process.execPath, "-e", source]);
    this.process.stdout.on("data", (chunk: Buffer) => (this.text += chunk.toString()));
    this.process.stderr.on("data", (chunk: Buffer) => (this.text += chunk.toString()));
  }

  async prints(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) await new Promise((resolve) => this.process.stdout.once("data", resolve));
  }
}

async function start(cluster: Cluster, node: number, stack: "o2cb" | "fs/dlm"): Promise<Watcher> {
  const watcher = new Watcher(cluster, node, stack);
  await watcher.prints(/watching/);
  assert.equal(watcher.text, "watching\n");
  return watcher;
}

describe("a domain on o2cb", function () {
  this.timeout(180_000);
  let cluster: Cluster;
  before(async function () {
    this.timeout(600_000);
    cluster = await openCluster({ stack: "o2cb" });
    await joinDomain(cluster);
  });
  after(async () => cluster.down());

  const sh = (node: number, script: string): ReturnType<typeof command> => command(cluster, node, ["sh", "-c", script]);

  it("cannot be taken away by what the kernel refuses while the heartbeat runs", async () => {
    const watcher = await start(cluster, 1, "o2cb");
    const file = await new FileHolder(cluster, 1, "kept", "EX").opened();
    const region = `$(ls -d ${CONFIG}/heartbeat/*/)`;
    for (const script of [
      `rmdir ${CONFIG}/node/node1`,
      `rmdir ${CONFIG}/node/node2`,
      `rmdir ${CONFIG}`,
      `echo 0 >${region}/dev`,
      "echo pcmk >/sys/fs/ocfs2/cluster_stack",
      "rmmod ocfs2_stack_o2cb",
      "rmdir /dlm/d",
      "umount /dlm",
    ]) {
      assert.notEqual((await sh(1, script)).code, 0, script);
    }
    const { stdout } = await sh(1, "cat /sys/kernel/debug/o2dlm/d/dlm_state");
    assert.match(stdout, /^Domain Map: 0 1 $/m);
    assert.equal(watcher.text, "watching\n");
    watcher.process.kill("SIGKILL");
    await file.close();
  });

  it("is lost when this node's heartbeat is ended, which is told before the other one is granted", async () => {
    const watcher = await start(cluster, 1, "o2cb");
    const file = await new FileHolder(cluster, 1, "held", "EX").opened();
    const rival = new FileHolder(cluster, 2, "held", "EX");
    let granted = false;
    const grant = rival.opened().then(() => (granted = true));
    assert.deepEqual(await sh(1, `rmdir ${CONFIG}/heartbeat/*/`), { code: 0, stdout: "", stderr: "" });
    await watcher.prints(/lost: .*heartbeat was ended/);
    assert.equal(granted, false);
    // the kernel did not stop it: two nodes hold EX
    await grant;
    assert.equal(file.isOpen, true);
    assert.match((await sh(1, "dmesg")).stdout, /o2dlm has evicted node 0 from domain d/);
    watcher.process.kill("SIGKILL");
    await Promise.all([file.close(), rival.close()]);
    // and whoever begins to watch now is told as well
    await new Watcher(cluster, 1, "o2cb").prints(/lost: /);
  });

  it("is lost when the node is not this one any more", async () => {
    const watcher = await start(cluster, 2, "o2cb");
    assert.equal((await sh(2, `echo 0 >${CONFIG}/node/node2/local`)).code, 0);
    await watcher.prints(/lost: .*heartbeat was ended/);
    watcher.process.kill("SIGKILL");
  });
});

describe("a domain on fs/dlm", function () {
  this.timeout(180_000);
  let cluster: Cluster;
  before(async function () {
    this.timeout(600_000);
    cluster = await openCluster({ stack: "dlmfs-dlm" });
    await joinDomain(cluster);
  });
  after(async () => cluster.down());

  it("stands still and goes on, which is no loss; the end of dlm_controld is one", async () => {
    const watcher = await start(cluster, 1, "fs/dlm");
    await command(cluster, 1, ["sh", "-c", "echo 0 >/sys/kernel/dlm/d/control"]);
    await watcher.prints(/stall true/);
    await command(cluster, 1, ["sh", "-c", "echo 1 >/sys/kernel/dlm/d/control"]);
    await watcher.prints(/stall false/);
    const file = await new FileHolder(cluster, 1, "held", "EX").opened();
    const rival = new FileHolder(cluster, 2, "held", "EX");
    let granted = false;
    void rival.opened().then(() => (granted = true));
    await command(cluster, 1, ["pkill", "-KILL", "-x", "dlm_controld"]);
    await watcher.prints(/lost: dlm_controld has died/);
    assert.equal(granted, false);
    assert.equal(file.isOpen, true);
    assert.equal((await watcher.process.exit).lost, "fenced");
    await rival.close();
  });
});
