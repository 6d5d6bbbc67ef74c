// Every stack of the lab, as far as a shell can tell: each is ready when it says so, and locks exclude.

import assert from "node:assert/strict";
import { text } from "node:stream/consumers";

import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";

async function sh(cluster: Cluster, node: number, script: string): Promise<string> {
  const child = cluster.exec(node, ["sh", "-c", script]);
  child.stdin.end();
  const [printed, complaint, status] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
  assert.equal(status.code, 0, `n${node}: ${JSON.stringify(status)} ${complaint}`);
  return printed;
}

describe("stack o2cb: two nodes", function () {
  this.timeout(240_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await openCluster({ stack: "o2cb", disks: ["2M"] });
  });
  after(async () => cluster.down());

  it("has its heartbeat on a disk that is none of the user's", async () => {
    for (const node of [1, 2]) {
      assert.equal(await sh(cluster, node, "blockdev --getsize64 /dev/vda"), `${2 ** 21}\n`);
      assert.equal(await sh(cluster, node, "readlink -f /dev/disk/by-id/virtio-clusterlock-hb"), "/dev/vdb\n");
    }
  });

  it("joins a domain at once, excludes, and hands a value over", async () => {
    await Promise.all([1, 2].map(async (node) => sh(cluster, node, "mkdir /dlm/d || test -d /dlm/d")));
    await sh(cluster, 1, "exec 3<>/dlm/d/lock; printf hello >&3");
    assert.equal(await sh(cluster, 2, "exec 3<>/dlm/d/lock; head -c 5 <&3"), "hello");
    const holder = cluster.exec(1, ["sh", "-c", "exec 3<>/dlm/d/lock; echo held; read word"]);
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const waiter = cluster.exec(2, ["sh", "-c", "exec 3<>/dlm/d/lock; echo granted"]);
    let granted = false;
    waiter.stdout.once("data", () => (granted = true));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(granted, false);
    holder.stdin.end();
    assert.equal((await waiter.exit).code, 0);
  });

  it("takes back a node whose power was cut", async () => {
    await cluster.kill(2);
    await cluster.start(2);
    await sh(cluster, 2, "mkdir /dlm/d || test -d /dlm/d; exec 3<>/dlm/d/again");
    await sh(cluster, 1, "exec 3<>/dlm/d/again");
  });

  it("a node without a network fences itself, and the lab says so", async () => {
    const victims = [1, 2].map((node) => cluster.exec(node, ["sleep", "1000"]));
    await cluster.partition([[1], [2]]);
    const lost = await Promise.race(victims.map(async ({ exit }) => exit));
    assert.deepEqual(lost, { code: null, signal: null, lost: "fenced" });
    const { nodes } = await cluster.status();
    assert.deepEqual(nodes.map(({ state, lost: how }) => `${state} ${how ?? ""}`).sort(), ["off fenced", "up "]);
    const off = nodes.find(({ state }) => state === "off")!;
    assert.match(off.detail, /^itself: .*sorry to be fencing/);
    await cluster.heal();
    await cluster.start(off.node);
    assert.equal((await cluster.status()).nodes.filter(({ state }) => state === "up").length, 2);
  });
});

describe("stack o2cb: one node, its heartbeat on a loop device", function () {
  this.timeout(120_000);

  it("joins a domain, and two mounts are two owners", async () => {
    await using cluster = await openCluster({ stack: "o2cb", nodes: 1 });
    const script = `set -e; mkdir /dlm/d; mkdir /dlm2; mount -t ocfs2_dlmfs none /dlm2; mkdir /dlm2/d
      (exec 3<>/dlm/d/lock; printf value >&3); (exec 3<>/dlm2/d/lock; head -c 5 <&3); ls /dev/vd* 2>/dev/null || echo " no disk"`;
    assert.equal(await sh(cluster, 1, script), "value no disk\n");
  });
});

describe("stack dlmfs-dlm: two nodes", function () {
  this.timeout(180_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await openCluster({ stack: "dlmfs-dlm" });
  });
  after(async () => cluster.down());

  it("runs on fs/dlm, whose cluster name dlmfs does not expect", async () => {
    assert.equal(await sh(cluster, 1, "cat /sys/fs/ocfs2/cluster_stack"), "pcmk\n");
    assert.match(await sh(cluster, 1, "mkdir /dlm/d 2>&1 || true"), /Invalid request descriptor/);
  });

  it("joins a domain with both nodes once the name is out of the way, and hands a value over", async () => {
    const join = `name=/sys/kernel/config/dlm/cluster/cluster_name; old=$(cat $name)
      printf '\\0' >$name; mkdir /dlm/d; status=$?; echo "$old" >$name; exit $status`;
    for (const node of [1, 2]) await sh(cluster, node, join);
    assert.match(await sh(cluster, 2, "dlm_tool ls"), /members\s+1 2 /);
    await sh(cluster, 1, "exec 3<>/dlm/d/lock; printf world >&3");
    assert.equal(await sh(cluster, 2, "exec 3<>/dlm/d/lock; head -c 5 <&3"), "world");
  });
});
