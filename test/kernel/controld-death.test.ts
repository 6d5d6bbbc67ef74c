// dlm_controld dies under a held lock: what the library says, to whom, and when.

import assert from "node:assert/strict";

import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { Shell } from "./support/shell";

const LS = "doomed";

describe("dlm_controld is killed under a held lock", function () {
  this.timeout(180_000);
  let cluster: Cluster;
  before(async function () {
    this.timeout(600_000);
    cluster = await openCluster({ nodes: 2, stack: "dlm" });
  });
  after(async function () {
    this.timeout(60_000);
    await cluster.down();
  });

  it("is told at once; the node is fenced, and only then the other one is granted", async () => {
    const [first, second] = [new Shell(cluster, 1), new Shell(cluster, 2)];
    for (const shell of [first, second]) {
      await shell.call(async (node, name) => {
        node.ls = await node.Lockspace.open(name, { create: true });
      }, LS);
    }
    await first.call(async (node) => {
      node.locks["held"] = await node.ls.lock("held");
    });
    const survivor = second.call(async (node) => {
      const events: string[] = [];
      node.ls.on("stall", () => events.push("stall"));
      node.ls.on("resume", () => events.push("resume"));
      node.ls.on("members", ({ members, left }) => events.push(`members ${members.join()}, left ${left.join()}`));
      await node.ls.lock("held");
      const granted = Date.now();
      await node.until("it is told", () => events.length >= 3, 10_000);
      return { granted, events: events.sort() };
    });
    const seen = await first.call(async (node) => {
      const lock = node.locks["held"];
      const lost = new Promise<string>((resolve) =>
        node.ls.once("lost", (error) => {
          resolve(error.message);
        }),
      );
      await node.sleep(500);
      node.childProcess.execFileSync("pkill", ["-KILL", "-x", "dlm_controld"]);
      const killed = performance.now();
      const message = await lost;
      const took = performance.now() - killed;
      // nobody waits for the kernel, which sleeps until the power is cut
      await lock?.release();
      await node.ls.close();
      return { message, took, aborted: lock?.signal.aborted };
    });
    const told = Date.now();
    assert.match(seen.message, /dlm_controld has died/);
    assert.equal(seen.aborted, true);
    assert.ok(seen.took < 2000, `it took ${seen.took.toFixed(0)} ms to be told`);
    const { lost } = await first.process.exit;
    assert.equal(lost, "fenced");
    const { granted, events } = await survivor;
    assert.ok(granted > told, "not before the other one was told");
    assert.deepEqual(events, ["members 2, left 1", "resume", "stall"]);
    await second.end();
  });
});
