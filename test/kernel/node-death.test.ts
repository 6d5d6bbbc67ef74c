// The power of a node is cut that masters resources and holds locks. What becomes of those who waited for it, of the
// values, and of the processes on the nodes that are left, while the cluster recovers and afterwards.

import assert from "node:assert/strict";

import type { Cluster } from "../../lib/lab";
import type { LockMode } from "../../lib/modes";

import { openCluster } from "./support/cluster";
import { kernelComplaints } from "./support/kernel-log";
import { Shell } from "./support/shell";

const LS = "bereft";
const LIMIT = 60_000;

type Read = readonly [value: string, valid: boolean | undefined];

/**
 * What node 2 reads when it is granted what it waited for, because node 3 had it and is dead. "old" was the value when
 * node 1 last read it, and "new" is what node 3 wrote last. Source: fs/dlm/recover.c, `recover_lvb()`.
 */
const READ: Record<string, Read> = {
  // Node 3 was the master, and the value went with it. Copies in NL and CR make up another, which is flagged ...
  "mastered by node 3, node 1 has a copy in NL": ["old", false],
  "mastered by node 3, node 1 has a copy in CR": ["old", false],
  // ... but where there is no copy, it is lost without a word: a waiting request has none,
  "mastered by node 3, nobody else has it": ["", true],
  // nor has a lock that did not ask for the value,
  "mastered by node 3, node 1 has NL without the value": ["", true],
  // nor one whose last conversion had no part in it, such as the way down with nothing to write.
  "mastered by node 3, node 1 came down to NL": ["", true],
  // Node 1 is the master and has the value: it is flagged if the dead could have been about to write it.
  "mastered by node 1, node 3 has EX with the value": ["new", false],
  "mastered by node 1, node 3 has EX without the value": ["old", true],
  "mastered by node 1, node 3 has PR with the value": ["old", true],
};
const masterOf = (resource: string): number => (resource.startsWith("mastered by node 3") ? 3 : 1);

/** What a process saw while its lockspace was stopped, for so many ms. */
interface Seen {
  ms: number;
  /** Rounds of a timer of 10 ms, and the longest of them in ms. */
  ticks: number;
  longest: number;
  aborted: number;
  rejectedAtOnce: number;
  /** The most requests at one time that the kernel had not answered. */
  unanswered: number;
  /** A release that was asked for meanwhile was over meanwhile. */
  released: boolean;
}

describe("a node is killed that masters resources and holds locks", function () {
  this.timeout(LIMIT * 2);
  let cluster: Cluster;
  let shells: Shell[] = [];
  let killed: number;
  let waiting: Promise<readonly [string, Read]>[];
  let converting: Promise<LockMode | undefined>;
  let watching: Promise<Seen>[];
  const shell = (node: number): Shell => shells[node - 1]!;

  const take = (node: number, resource: string, mode: LockMode, lvb: boolean): Promise<void> =>
    shell(node).call(
      async ({ ls, locks }, ...[name, asked, value]) => {
        locks[name] = await ls.lock(name, { mode: asked, lvb: value });
      },
      resource,
      mode,
      lvb,
    );
  /** Keeps the resource and its value alive; who is first is the master. */
  const keep = (node: number, resource: string): Promise<void> =>
    shell(node).call(async ({ ls }, name) => {
      await ls.lock(name, { mode: "NL", lvb: true });
    }, resource);
  const write = (node: number, resource: string): Promise<void> =>
    shell(node).call(async ({ ls }, name) => {
      await (await ls.lock(name)).release({ lvb: Buffer.from("old") });
    }, resource);
  /** Writes and goes on holding. */
  const overwrite = (node: number, resource: string, mode: "PW" | "EX"): Promise<void> =>
    shell(node).call(
      async ({ ls, locks }, ...[name, asked]) => {
        locks[name] = await (await ls.lock(name, { mode: asked })).convert(asked, { lvb: Buffer.from("new") });
      },
      resource,
      mode,
    );
  /** Waits for the grant and tells what came with it. */
  const read = (node: number, resource: string, mode: "PR" | "EX"): Promise<Read> =>
    shell(node).call(
      async ({ ls }, ...[name, asked, limit]) => {
        const lock = await ls.lock(name, { mode: asked, lvb: true, signal: AbortSignal.timeout(limit) });
        const { lvb, lvbValid } = lock;
        await lock.release();
        const value = Buffer.from(lvb ?? []).toString();
        return [value.replace(/\0+$/, ""), lvbValid] as const;
      },
      resource,
      mode,
      LIMIT,
    );

  /** Brings the resource to what its name says, with node 3 in the way of node 2. */
  async function prepare(resource: string): Promise<void> {
    await keep(masterOf(resource), resource);
    await write(masterOf(resource), resource);
    switch (resource.split(", ")[1] ?? "") {
      case "node 1 has a copy in NL":
        await take(1, resource, "NL", true);
        break;
      case "node 1 has a copy in CR":
        await take(1, resource, "CR", true);
        return overwrite(3, resource, "PW");
      case "node 1 has NL without the value":
        await take(1, resource, "NL", false);
        break;
      case "node 1 came down to NL":
        await take(1, resource, "EX", true);
        await shell(1).call(async ({ locks }, name) => {
          await locks[name]?.convert("NL");
        }, resource);
        break;
      case "node 3 has EX without the value":
        return take(3, resource, "EX", false);
      case "node 3 has PR with the value":
        return take(3, resource, "PR", true);
    }
    return overwrite(3, resource, "EX");
  }

  /** The resources for which node 2 waits in the kernel, so many of them, and their masters. */
  const queued = (count: number): Promise<Record<string, number>> =>
    shell(2).call(
      async (node, ...[name, all]) => {
        // "id nodeid remid pid xid exflags flags sts grmode rqmode time_us r_nodeid r_len r_name"
        const [STATUS, MASTER, WAITING] = [7, 11, "1"];
        const list = (): string[] => node.kernelLocks(name).filter((line) => line.split(" ")[STATUS] === WAITING);
        await node.until("all requests are queued", () => list().length === all);
        return Object.fromEntries(
          list().map((line) => [line.slice(line.indexOf('"') + 1, -1), Number(line.split(" ")[MASTER])]),
        );
      },
      LS,
      count,
    );

  /** Aborts requests as long as the lockspace is stopped, and counts what the event loop does meanwhile. */
  const watch = (node: number): Promise<Seen> =>
    shell(node).call(
      async (on, ...[name, limit]) => {
        const DONE = 0x40; // DLM_RS_DONE
        const stopped = (): boolean => {
          const status = on.fs.readFileSync(`/sys/kernel/dlm/${name}/recover_status`, "utf8");
          return (Number.parseInt(status, 16) & DONE) === 0;
        };
        const seen = { ms: 0, ticks: 0, longest: 0, aborted: 0, rejectedAtOnce: 0, unanswered: 0, released: false };
        const others = on.ls.pending;
        await on.until("the lockspace stops", stopped, limit);
        const release = on.locks["to be released"]?.release().then(() => (seen.released = stopped()));
        const from = performance.now();
        let last = from;
        for (; stopped(); seen.ticks++) {
          if (seen.ticks % 5 === 0) {
            const abort = new AbortController();
            const outcome = on.ls.lock(`in vain ${seen.ticks}`, { signal: abort.signal }).catch((e: unknown) => e);
            await on.sleep(10);
            const reason = new Error("in vain");
            abort.abort(reason);
            seen.aborted++;
            if ((await Promise.race([outcome, on.sleep(0)])) === reason) seen.rejectedAtOnce++;
            seen.unanswered = Math.max(seen.unanswered, on.ls.pending - others);
          }
          await on.sleep(10);
          const now = performance.now();
          seen.longest = Math.max(seen.longest, Math.round(now - last));
          last = now;
        }
        seen.ms = Math.round(last - from);
        await release;
        return seen;
      },
      LS,
      LIMIT,
    );

  before(async function () {
    this.timeout(600_000);
    cluster = await openCluster({ nodes: 3, stack: "dlm", fencing: "on" });
    shells = cluster.nodes.map((node) => new Shell(cluster, node));
    for (const each of shells) {
      await each.call(async (node, name) => {
        node.ls = await node.Lockspace.open(name, { create: true });
        // is granted when recovery is over: another join would cut it short, which the kernel logs as an error
        await (await node.ls.lock("joined")).release();
      }, LS);
    }

    const resources = Object.keys(READ);
    for (const resource of resources) await prepare(resource);
    waiting = resources.map(async (name) => [name, await read(2, name, name.endsWith("CR") ? "PR" : "EX")] as const);
    for (const node of [3, 1]) await take(node, "converting", "PR", true);
    converting = shell(1).call(async ({ locks }) => (await locks["converting"]?.convert("EX"))?.mode);
    // what a survivor has read under a lock above CR is the value, wherever its master was
    await keep(3, "shared");
    await write(3, "shared");
    await take(1, "shared", "PR", true);
    // what node 3 had no part in
    await keep(2, "own");
    await overwrite(1, "own", "EX");
    for (const node of [1, 2]) await take(node, "to be released", "PR", false);

    const masters = resources.map((name) => [name, masterOf(name)]);
    assert.deepEqual(await queued(resources.length), Object.fromEntries(masters));
    watching = [watch(1), watch(2)];
    killed = Date.now();
    await cluster.kill(3);
  });
  after(async () => {
    if (shells.length === 0) return;
    await Promise.all(shells.map((each) => each.end()));
    try {
      const complaints = await Promise.all([1, 2].map((node) => kernelComplaints(cluster, node)));
      assert.deepEqual([...complaints.flat(), ...shells.flatMap((each) => each.complaints)], []);
    } finally {
      await cluster.down();
    }
  });

  it("those who waited are granted, with the values that the kernel has left", async () => {
    const granted = Object.fromEntries(await Promise.all(waiting));
    console.log(`      re-granted ${Date.now() - killed} ms after the power cut`);
    assert.deepEqual(granted, READ);
    assert.equal(await converting, "EX");
  });

  it("event loops run on while the lockspace is stopped, and aborts reject at once", async () => {
    for (const seen of await Promise.all(watching)) {
      console.log(`      ${JSON.stringify(seen)}`);
      assert.ok(seen.ticks >= 5);
      assert.ok(seen.aborted > 0);
      assert.equal(seen.rejectedAtOnce, seen.aborted);
      assert.ok(seen.unanswered > 0, "the kernel has answered all");
      assert.equal(seen.released, false);
    }
  });

  it("locks and values that the survivors kept are as they were", async () => {
    assert.deepEqual(await read(2, "shared", "PR"), ["old", true]);
    assert.equal(await shell(2).call(async ({ ls }) => ls.tryLock("own")), null);
    await shell(1).call(async ({ locks }) => locks["own"]?.release());
    assert.deepEqual(await read(2, "own", "EX"), ["new", true]);
  });

  it("new locks work, and the next write ends the doubt of a value", async () => {
    for (const resource of ["not there before", "mastered by node 3, node 1 has a copy in NL"]) {
      for (const [writer, reader] of [
        [1, 2],
        [2, 1],
      ] as const) {
        await keep(writer, resource);
        await overwrite(writer, resource, "EX");
        assert.equal(await shell(reader).call(async ({ ls }, name) => ls.tryLock(name), resource), null);
        const next = read(reader, resource, "EX");
        await shell(writer).call(async ({ locks }, name) => locks[name]?.release(), resource);
        assert.deepEqual(await next, ["new", true]);
      }
    }
    for (const n of [1, 2]) {
      await shell(n).call(async (node) => {
        await node.until("the kernel has answered all", () => node.ls.pending === 0);
        await node.ls.close();
      });
    }
  });
});
