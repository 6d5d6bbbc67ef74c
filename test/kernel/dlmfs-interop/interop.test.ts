// Programs built against Debian's libo2dlm and ours in one domain.

import assert from "node:assert/strict";

import type { DomainLock } from "../../../lib/dlmfs";
import type { Cluster } from "../../../lib/lab";
import { openCluster } from "../support/cluster";
import { kernelComplaints } from "../support/kernel-log";
import { command, Shell } from "../support/shell";

import { exclusion, EXCLUSION, handsOver, valueOf } from "./exclusion";
import { buildPeer, Peer } from "./peer";
import { clusterlock, libo2dlm, type Side } from "./sides";

const DOMAIN = "mixed";
const R = "r";

for (const stack of ["o2cb", "dlmfs-dlm"] as const) {
  describe(`libo2dlm's programs and ours, stack ${stack}`, function () {
    this.timeout(120_000);
    let cluster: Cluster;
    // ours, on both nodes from test to test: processes take long to start on an emulated node
    let shells: Shell[] = [];
    const shell = (node: number): Shell => shells[node - 1]!;
    // libo2dlm's, on node 1
    let peer: Peer;
    let theirs: Side;
    // ours on the other node
    let ours: Side;

    const openOurs = (node: number): Promise<void> =>
      shell(node).call(async (there, name) => {
        there.domain = await there.Domain.open(name, { create: true, allowClusterNameWorkaround: true });
      }, DOMAIN);

    /** Whether ours on a node is granted EX at once, or as soon as nobody holds it. */
    const free = (node: number, name: string): Promise<boolean> =>
      shell(node).call(async ({ domain }, lockName) => {
        const lock = await domain.tryLock(lockName);
        await lock?.release();
        return lock !== null;
      }, name);

    const files = async (node: number): Promise<string[]> =>
      (await command(cluster, node, ["ls", `/dlm/${DOMAIN}`])).stdout.split("\n").filter(Boolean);

    before(async function () {
      this.timeout(600_000);
      buildPeer();
      cluster = await openCluster({ nodes: 2, stack });
      shells = cluster.nodes.map((node) => new Shell(cluster, node));
    });
    after(async () => {
      if (shells.length === 0) return;
      await Promise.all(shells.map(async (each) => each.end()));
      try {
        const complaints = await Promise.all(cluster.nodes.map(async (node) => kernelComplaints(cluster, node)));
        assert.deepEqual([...complaints.flat(), ...shells.flatMap((each) => each.complaints)], []);
      } finally {
        await cluster.down();
      }
    });
    beforeEach(async () => {
      // one after the other: a recovery that is cut short is logged as an error
      for (const node of cluster.nodes) await openOurs(node);
      peer = new Peer(cluster, 1);
      await peer.initialize("/dlm", DOMAIN);
      theirs = libo2dlm(peer);
      ours = clusterlock(shell(2));
    });
    afterEach(async () => {
      assert.equal(await peer.destroy(), "");
      await peer.end();
      for (const node of cluster.nodes) {
        await shell(node).call(async ({ domain }) => {
          for (const name of await domain.names()) await domain.drop(name);
          await domain.leave();
        });
      }
      for (const node of cluster.nodes) assert.equal((await command(cluster, node, ["ls", "/dlm"])).stdout, "");
    });

    it("exclude each other across nodes in every pair of modes, and are told so", async () => {
      // the second time as conversions of what the nodes have cached
      for (let times = 0; times < 2; times++) {
        assert.deepEqual(await exclusion(R, theirs, ours), EXCLUSION);
        assert.deepEqual(await exclusion(R, ours, theirs), EXCLUSION);
      }
    });

    it("hand over all 64 bytes of a value, both ways", async () => {
      await handsOver(R, theirs, ours, "from libo2dlm's program");
      await handsOver(R, ours, theirs, "from ours");
      await handsOver(R, theirs, ours, "and back");
    });

    it("ours is told of libo2dlm's program, for which mode if that is known, and makes room in onBlocking", async () => {
      await shell(2).call(async (node, name) => {
        let told: (by: "EX" | undefined) => void;
        const notice = new Promise<"EX" | undefined>((resolve) => (told = resolve));
        const lock = await node.domain.lock(name, {
          mode: "PR",
          onBlocking: (mode, blocking) => {
            told(mode);
            void blocking.release();
          },
        });
        node.held["it"] = Object.assign(lock, { notice });
      }, R);
      await peer.lock(R, "EX");
      const [mode, state] = await shell(2).call(async ({ held }) => {
        const lock = held["it"] as DomainLock & { notice: Promise<"EX" | undefined> };
        return [await lock.notice, lock.state] as const;
      });
      assert.deepEqual([mode, state], ["EX", "released"]);
      await peer.unlock(R);
    });

    it("libo2dlm's program is told of ours, and its value is there when it has made room", async () => {
      await peer.lockWithBast(R, "EX");
      await peer.writeLvb(R, valueOf("after you"));
      const reads = shell(2).call(
        async ({ domain }, name) =>
          domain.withLock(name, { mode: "PR" }, async (lock) => Buffer.from(await lock.readLvb()).toString("hex")),
        R,
      );
      assert.equal(await peer.blocked(), R);
      await peer.unlock(R);
      assert.equal(await reads, valueOf("after you").toString("hex"));
    });

    it("tryLock is refused what libo2dlm's program holds, and granted what its node only caches", async () => {
      await peer.lock(R, "EX");
      assert.equal(await free(2, R), false);
      await peer.unlock(R);
      assert.equal(await free(2, R), true);
    });

    it("on one node they do not exclude each other: dlmfs does not, and libo2dlm does not know our sidecar", async () => {
      await peer.lock(R, "EX");
      assert.equal(await free(1, R), true);
      await peer.unlock(R);
    });

    it("o2dlm_destroy() on our node takes idle locks with it, but neither the domain nor what is held", async () => {
      await shell(1).call(async (node) => {
        const lock = await node.domain.lock("held");
        await lock.writeLvb(Buffer.from("kept"));
        await node.domain.withLock("idle", {}, () => undefined);
        node.held["it"] = lock;
      });
      const leaver = new Peer(cluster, 1);
      await leaver.initialize("/dlm", DOMAIN);
      assert.equal(await leaver.destroy(), "");
      await leaver.end();
      assert.deepEqual(await files(1), ["held"]);
      assert.equal(await free(2, "held"), false);
      const value = await shell(1).call(async ({ held }) => {
        const bytes = await held["it"]!.readLvb();
        return [held["it"]!.state, Buffer.from(bytes.subarray(0, 4)).toString()];
      });
      assert.deepEqual(value, ["granted", "kept"]);
      // it goes on as if nothing had been: the lock whose file went, and one that is new
      for (const name of ["idle", "new"]) assert.equal(await free(1, name), true);
      await shell(1).call(async ({ held }) => held["it"]!.release());
      assert.equal(await free(2, "held"), true);
    });

    it("o2dlm_destroy() of the last of libo2dlm's programs leaves the domain to ours that holds nothing", async () => {
      assert.equal(await peer.destroy(), "");
      await peer.end();
      assert.equal((await command(cluster, 1, ["ls", "/dlm"])).stdout, `${DOMAIN}\n`);
      assert.equal(await free(1, R), true);
      peer = new Peer(cluster, 1);
      await peer.initialize("/dlm", DOMAIN);
    });

    for (const way of ["close", "leave"] as const) {
      it(`ours that ends by ${way}() harms neither what libo2dlm's program holds nor what it keeps idle`, async () => {
        await peer.lock("idle", "EX");
        await peer.writeLvb("idle", valueOf("idle"));
        await peer.unlock("idle");
        await peer.lock("held", "EX");
        await peer.writeLvb("held", valueOf("held"));
        const left = await shell(1).call(async ({ domain }, how) => {
          await domain.withLock("own", {}, () => undefined);
          return domain[how]();
        }, way);
        // the domain is not ours alone
        assert.equal(left, way === "close" ? undefined : false);
        assert.deepEqual(
          (await files(1)).filter((name) => name !== "own"),
          ["held", "idle"],
        );
        assert.deepEqual(await peer.readLvb("held"), valueOf("held"));
        assert.equal(await free(2, "held"), false);
        await ours.hold("idle", "PR");
        assert.deepEqual(await ours.read(), valueOf("idle"));
        await ours.release();
        await peer.unlock("held");
        await openOurs(1);
      });
    }
  });
}
