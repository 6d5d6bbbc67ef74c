// What becomes of a value when the process, the domain or the node of its writer goes, and that a FramedValue says so.

import assert from "node:assert/strict";

import type { FramedReading, FramedValue } from "../../lib/dlmfs";
import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { kernelComplaints } from "./support/kernel-log";
import { type NodeContext, Shell } from "./support/shell";

/** What the shells of this suite keep. */
type Node = NodeContext & { values: Record<string, FramedValue> };

const LIMIT = 90_000;
const long = process.env["CLUSTERLOCK_LONG"] !== undefined;

for (const stack of ["o2cb", "dlmfs-dlm"] as const) {
  describe(`values of dlmfs locks and the end of their writers, stack ${stack}`, function () {
    this.timeout(LIMIT * 2);
    // how this stack loses a value
    const sign = stack === "o2cb" ? "zeros" : "invalid";
    let cluster: Cluster;
    let shells: Shell[] = [];

    const start = (node: number): Shell => {
      const shell = new Shell(cluster, node);
      shells.push(shell);
      return shell;
    };
    const join = (shell: Shell, name: string): Promise<void> =>
      shell.call(async (node, domain) => {
        (node as Node).values = {};
        node.domain = await node.Domain.open(domain, { create: true, allowClusterNameWorkaround: true });
      }, name);
    /** Writes a value and releases the lock, which the node keeps cached in EX. */
    const write = (shell: Shell, lock: string, text: string): Promise<void> =>
      shell.call(
        async (node, name, payload) => {
          const { values } = node as Node;
          const value = (values[name] ??= new node.dlmfs.FramedValue());
          const { lock: held, reading } = await value.acquire(node.domain, name);
          if (reading.state === "ok" || reading.state === "reset") await value.write(held, Buffer.from(payload));
          else await value.initialise(held, Buffer.from(payload));
          await held.release();
        },
        lock,
        text,
      );
    /** What the value is read as in PR, within the time that a recovery may take. */
    const read = (
      shell: Shell,
      lock: string,
    ): Promise<{ state: FramedReading["state"]; sign?: string; text?: string }> =>
      shell.call(
        async (node, name, limit) => {
          const { values } = node as Node;
          const value = (values[name] ??= new node.dlmfs.FramedValue());
          const held = await node.domain.lock(name, { mode: "PR", signal: AbortSignal.timeout(limit) });
          const reading = await value.read(held);
          await held.release();
          return {
            state: reading.state,
            ...("sign" in reading && { sign: reading.sign }),
            ...("payload" in reading && { text: Buffer.from(reading.payload).toString() }),
          };
        },
        lock,
        LIMIT,
      );

    before(async function () {
      this.timeout(600_000);
      cluster = await openCluster({ stack, nodes: 2 });
    });
    afterEach(async () => {
      const ended = shells;
      shells = [];
      await Promise.all(ended.map((shell) => shell.end()));
    });
    after(async function () {
      this.timeout(60_000);
      try {
        assert.deepEqual(await kernelComplaints(cluster, 1), []);
      } finally {
        await cluster.down();
      }
    });

    it("a writer's process is killed: its node keeps what was written", async () => {
      const [one, two] = [start(1), start(2)];
      await Promise.all([join(one, "values"), join(two, "values")]);
      await write(two, "p", "first");
      assert.deepEqual(await read(one, "p"), { state: "ok", text: "first" });
      await write(two, "p", "second");
      await two.call(async (node) => {
        // held, and changed, at the end
        const held = await node.domain.lock("p");
        const { values } = node as Node;
        await values["p"]!.read(held);
        await values["p"]!.write(held, Buffer.from("third"));
        setImmediate(() => process.kill(process.pid, "SIGKILL"));
      });
      assert.deepEqual(await read(one, "p"), { state: "ok", text: "third" });
    });

    it("the node that has the lock in its care leaves, with the value that only it had: that is told", async () => {
      const [one, two] = [start(1), start(2)];
      await join(two, "leaving");
      await write(two, "m", "first");
      await join(one, "leaving");
      assert.deepEqual(await read(one, "m"), { state: "ok", text: "first" });
      await write(two, "m", "second");
      assert.equal(await two.call(async (node) => node.domain.leave()), true);
      assert.deepEqual(await read(one, "m"), { state: "lost", sign });
      await write(one, "m", "anew");
      assert.deepEqual(await read(one, "m"), { state: "ok", text: "anew" });
    });

    it("a node dies: what it had in EX is lost and told, what it only read is kept, and life goes on", async () => {
      const [one, two] = [start(1), start(2)];
      await Promise.all([join(one, "values"), join(two, "values")]);
      await write(one, "ex", "first");
      await write(two, "ex", "second");
      await write(one, "pr", "kept");
      assert.deepEqual(await read(two, "pr"), { state: "ok", text: "kept" });
      shells = [one];
      await cluster.kill(2);
      assert.deepEqual(await read(one, "ex"), { state: "lost", sign });
      assert.deepEqual(await read(one, "pr"), { state: "ok", text: "kept" });
      await write(one, "ex", "anew");
      assert.deepEqual(await read(one, "ex"), { state: "ok", text: "anew" });
    });

    if (long) {
      it("the nodes lose sight of each other: one is fenced, and the other tells what went with it", async () => {
        await cluster.start(2);
        const [one, two] = [start(1), start(2)];
        await Promise.all([join(one, "parted"), join(two, "parted")]);
        for (const name of ["one", "two"]) await write(one, name, "first");
        await write(two, "two", "second");
        await read(two, "one");
        await write(one, "one", "second");
        const ends = [one, two].map((shell) => shell.process.exit);
        await cluster.partition([[1], [2]]);
        const lost = await Promise.race(ends.map(async (exit, index) => exit.then(() => index + 1)));
        const [survivor, own, others] = lost === 2 ? [one, "one", "two"] : [two, "two", "one"];
        shells = [survivor];
        assert.deepEqual(await read(survivor, own), { state: "ok", text: "second" });
        assert.deepEqual(await read(survivor, others), { state: "lost", sign });
        await cluster.heal();
      });
    }
  });
}
