// libo2dlm's programs with each other: what they do here without us, so that the suite beside this one measures ours.

import assert from "node:assert/strict";

import { joinDomain } from "../support/domain";
import { Suite } from "../support/suite";
import { describeLong } from "../../rounds";

import { exclusion, EXCLUSION, handsOver } from "./exclusion";
import { buildPeer, Peer } from "./peer";
import { libo2dlm } from "./sides";

const DOMAIN = "theirs";

for (const stack of ["o2cb", "dlmfs-dlm"] as const) {
  describeLong(`libo2dlm's programs with each other, stack ${stack}`, function () {
    this.timeout(120_000);
    const suite = Suite.on(2, stack);
    let peers: [Peer, Peer];

    before(() => {
      buildPeer();
    });
    beforeEach(async () => {
      // libo2dlm does not know that the cluster's name is in the way
      if (stack === "dlmfs-dlm") await joinDomain(suite.cluster, DOMAIN);
      peers = [new Peer(suite.cluster, 1), new Peer(suite.cluster, 2)];
      for (const peer of peers) await peer.initialize("/dlm", DOMAIN);
    });
    afterEach(async () => {
      for (const peer of peers) {
        assert.equal(await peer.destroy(), "");
        await peer.end();
      }
      for (const node of [1, 2]) assert.equal((await suite.run(node, "ls", "/dlm")).stdout, "");
    });

    it("exclude each other, tell each other, and hand values over", async () => {
      const [one, two] = [libo2dlm(peers[0]), libo2dlm(peers[1])];
      assert.deepEqual(await exclusion("r", one, two), EXCLUSION);
      assert.deepEqual(await exclusion("r", two, one), EXCLUSION);
      await handsOver("r", one, two, "from the first");
      await handsOver("r", two, one, "from the second");
    });

    it("destroy with their own domain what is idle in it, whoever used it, and not what is held", async () => {
      const other = new Peer(suite.cluster, 1);
      await other.initialize("/dlm", DOMAIN);
      await other.lock("idle", "EX");
      await other.unlock("idle");
      await other.lock("held", "EX");
      const leaver = new Peer(suite.cluster, 1);
      await leaver.initialize("/dlm", DOMAIN);
      assert.equal(await leaver.destroy(), "");
      await leaver.end();
      const { stdout } = await suite.run(1, "ls", `/dlm/${DOMAIN}`);
      assert.equal(stdout, "held\n");
      assert.equal(await other.destroy(), "");
      await other.end();
    });

    if (stack === "o2cb") {
      it("are refused by a trylock what another node only caches, until that is dropped", async () => {
        await peers[0].lock("r", "EX");
        assert.equal(await peers[1].tryLock("r", "EX"), false);
        await peers[0].unlock("r");
        assert.equal(await peers[1].tryLock("r", "EX"), false);
        assert.equal(await peers[0].drop("r"), "");
        assert.equal(await peers[1].tryLock("r", "EX"), true);
        await peers[1].unlock("r");
      });
    }
  });
}
