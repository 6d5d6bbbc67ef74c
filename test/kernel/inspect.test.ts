import assert from "node:assert/strict";

import {
  type Holders,
  type LockDump,
  type LockspaceList,
  findDeadlocks,
  readResourceName,
  waitForDot,
  waitForGraph,
  type ClusterStatus,
} from "../../lib/dlm";

import type { NodeContext } from "./support/shell";
import { Suite } from "./support/suite";

const LS = "look";
const VALUE = "what was written";

// What inspection says is held against what the tests did, against dlm_tool, and against the other node's word.
describe("introspection on two nodes", function () {
  this.timeout(120_000);
  const suite = Suite.on(2, "dlm", async (on) => {
    await Promise.all([1, 2].map((n) => on.shell(n).call((node) => node.ls.close())));
    for (const n of [1, 2]) await on.shell(n).call((node, name) => node.Lockspace.remove(name), LS);
  });

  beforeEach(async () => {
    for (const n of [1, 2]) {
      await suite.shell(n).call(async (node, name) => {
        node.ls = await node.Lockspace.open(name, { create: true });
      }, LS);
    }
  });

  const dump = (n: number, options = {}): Promise<LockDump> =>
    suite.shell(n).call((node, name, given) => node.lockDump(name, given), LS, options);
  const hold = (n: number, resource: string, mode: "NL" | "PR" | "EX" = "EX"): Promise<number> =>
    suite.shell(n).call(
      async (node, name, wanted) => {
        node.locks[name] = await node.ls.lock(name, { mode: wanted });
        return node.locks[name].id;
      },
      resource,
      mode,
    );
  // asked for, but neither granted nor awaited
  const want = (n: number, resource: string): Promise<boolean> =>
    suite.shell(n).call(async (node, name) => {
      node.ls.lock(name).catch(() => undefined);
      await node.until("it waits", async () => {
        const found = (await node.lockDump("look", { processes: false })).resources?.find((r) => r.name === name);
        return (found?.waiting ?? []).some(({ copy }) => copy !== "master");
      });
      return true;
    }, resource);

  it("lockspaces and the cluster are as dlm_tool shows them", async () => {
    for (const n of [1, 2]) {
      const { node, lockspaces, problems }: LockspaceList = await suite.shell(n).call((at) => at.listLockspaces());
      const [ls, ...more] = lockspaces ?? [];
      assert.deepEqual([node, more, problems], [n, [], []]);
      assert.ok(ls?.controld && ls.recoverStatus && ls.device);
      const { change, members, nodes } = ls.controld;
      const shown = (await suite.run(n, "dlm_tool", "ls", "-n")).stdout;
      for (const line of [
        `name          ${ls.name}`,
        `id            0x${ls.globalId?.toString(16).padStart(8, "0")}`,
        "flags         0x00000000 ",
        `change        member ${change.members} joined ${change.joined} remove ${change.removed} failed ${change.failed} seq ${change.combinedSeq},${change.seq}`,
        `members       ${members.join(" ")} `,
        ...nodes.map(
          (one) =>
            `nodeid ${one.node} member 1 failed 0 start 1 seq_add ${one.addedSeq} seq_rem ${one.removedSeq} check none`,
        ),
      ]) {
        assert.ok(shown.split("\n").includes(line), `${line}\nis not in\n${shown}`);
      }
      assert.equal(ls.name, LS);
      assert.deepEqual(ls.members, [
        { node: 1, weight: 1 },
        { node: 2, weight: 1 },
      ]);
      assert.equal(ls.state, "running");
      // the node with the lowest id alone hears from all
      assert.equal(ls.recoverStatus.raw, n === 1 ? 0xff : 0x55);
      const dev = await suite.run(n, "stat", "-c", "%Hr:%Lr", `/dev/${ls.device.name}`);
      assert.equal(dev.stdout.trim(), `${ls.device.major}:${ls.device.minor}`);

      const status: ClusterStatus = await suite.shell(n).call((at) => at.clusterStatus());
      assert.deepEqual([status.name, status.daemon?.node, status.daemon?.quorate], ["lab", n, true]);
      assert.deepEqual([status.waitsFor, status.problems], [[], []]);
      const tool = (await suite.run(n, "dlm_tool", "status")).stdout;
      for (const one of status.nodes ?? []) {
        assert.ok(tool.includes(`node ${one.node} M add ${one.addedAt} rem 0 fail 0 fence 0 at 0 0`), tool);
      }
      assert.deepEqual(
        status.addresses?.map((one) => [one.node, one.local]),
        [
          [1, n === 1],
          [2, n === 2],
        ],
      );
    }
  });

  it("a lockspace that serves nobody is seen to", async () => {
    const state = async (): Promise<string | undefined> => {
      const list: LockspaceList = await suite.shell(1).call((at) => at.listLockspaces());
      return list.lockspaces?.[0]?.state;
    };
    const control = `/sys/kernel/dlm/${LS}/control`;
    await suite.run(1, "sh", "-c", `echo 0 > ${control}`);
    const stopped = await state();
    await suite.run(1, "sh", "-c", `echo 1 > ${control}`);
    // dlm_controld has not stopped it, and knows nothing of it
    assert.equal(stopped, "recovering");
    await suite.shell(1).call(async (node) => {
      await node.until("it runs", async () => (await node.listLockspaces()).lockspaces?.[0]?.state === "running");
    });
  });

  it("a dump shows who holds, converts and waits, from either node", async () => {
    // node 1 masters it
    const first = await suite.shell(1).call(async (node, value) => {
      const lock = await node.ls.lock("r", { mode: "EX", lvb: Buffer.from(value) });
      await lock.convert("PR");
      node.locks["first"] = lock;
      return { lkid: lock.id, pid: process.pid };
    }, VALUE);
    const second = await suite.shell(2).call(async (node) => {
      const lock = await node.ls.lock("r", { mode: "PR" });
      node.locks["second"] = lock;
      return { lkid: lock.id, pid: process.pid };
    });
    await suite.shell(1).call(async (node) => {
      node.locks["first"]?.convert("EX").catch(() => undefined);
      await node.sleep(200);
    });
    await want(2, "r");

    for (const source of ["all", "locks"] as const) {
      const [one, two] = [await dump(1, { source }), await dump(2, { source })];
      assert.deepEqual([one.node, two.node, one.problems, two.problems], [1, 2, [], []]);
      const [at1, at2] = [one, two].map(({ resources }) => resources?.find(({ name }) => name === "r"));
      assert.ok(at1 && at2);
      assert.deepEqual([at1.master, at1.mastered, at2.master, at2.mastered], [1, true, 1, false]);
      const [granted, converting, waiting] = [at1.granted, at1.converting, at1.waiting].map((queue) => {
        assert.equal(queue.length, 1);
        return queue[0]!;
      });
      assert.deepEqual([granted?.owner, granted?.ownerLkid, granted?.mode], [2, second.lkid, "PR"]);
      assert.deepEqual(
        [converting?.owner, converting?.lkid, converting?.mode, converting?.requested],
        [1, first.lkid, "PR", "EX"],
      );
      assert.deepEqual([waiting?.owner, waiting?.mode, waiting?.requested], [2, undefined, "EX"]);
      assert.equal(converting?.process?.pid, first.pid);
      assert.match(converting.process.command, /shell\.cjs/);
      // in microseconds, whatever the kernel calls it: it has waited for more than the 200 ms
      assert.ok(converting.queuedUs! > 150_000 && converting.queuedUs! < 60_000_000, String(converting.queuedUs));
      // the other node knows its own, and whose they are
      assert.deepEqual(
        [...at2.granted, ...at2.waiting].map((lock) => [lock.owner, lock.masterLkid, lock.process?.pid]),
        [granted, waiting].map((lock) => [2, lock?.lkid, second.pid]),
      );
      assert.deepEqual(at2.converting, []);
      if (source === "all") {
        assert.equal(
          Buffer.from(at1.lvb?.hex ?? "", "hex")
            .toString()
            .replace(/\0+$/, ""),
          VALUE,
        );
        assert.deepEqual([at1.lvb?.valid, at1.lvb?.sequence], [true, 1]);
      }
    }
    const held: Holders = await suite.shell(1).call((node, name) => node.whoHolds(name, "r"), LS);
    assert.deepEqual([held.complete, held.master, held.holders?.map(({ owner }) => owner)], [true, 1, [2, 1]]);
    const elsewhere: Holders = await suite.shell(2).call((node, name) => node.whoHolds(name, "r"), LS);
    assert.deepEqual([elsewhere.complete, elsewhere.master, elsewhere.holders?.length], [false, 1, 1]);
  });

  it("a deadlock across two resources and two nodes is found, with the locks to cancel", async () => {
    await hold(1, "A");
    await hold(2, "B");
    await want(1, "B");
    await want(2, "A");
    const dumps = [await dump(1), await dump(2)];
    // as it would come from another node
    const graph = waitForGraph(JSON.parse(JSON.stringify(dumps)) as LockDump[]);
    assert.deepEqual(graph.problems, []);
    const [deadlock, ...more] = findDeadlocks(graph);
    assert.deepEqual(more, []);
    const pids = await Promise.all([1, 2].map((n) => suite.shell(n).call(() => process.pid)));
    assert.deepEqual(deadlock?.owners.map(({ node, pid }) => [node, pid]).sort(), [
      [1, pids[0]],
      [2, pids[1]],
    ]);
    const steps = deadlock.cycle.map(({ wait }) => wait).sort((a, b) => a.node! - b.node!);
    assert.deepEqual(
      steps.map(({ node, resource, requested, complete }) => [node, resource, requested, complete]),
      [
        [1, "B", "EX", true],
        [2, "A", "EX", true],
      ],
    );
    // the lkids are those that the waiters' own nodes know them by
    for (const [at, { lkid }] of steps.entries()) {
      const name = at === 0 ? "B" : "A";
      const own = dumps[at]?.resources
        ?.find((resource) => resource.name === name)
        ?.waiting.filter((l) => l.copy !== "master");
      assert.deepEqual(
        own?.map((lock) => lock.lkid),
        [lkid],
      );
    }
    assert.match(waitForDot(graph), /"node 1 pid \d+" -> "node 2 pid \d+" \[label="B EX", color="red"\]/);
    // one node's dump alone tells half of it, and says so
    assert.ok(waitForGraph(dumps.slice(0, 1)).problems.some(({ code }) => code === "ERR_MASTER_UNKNOWN"));
  });

  it("names of any bytes come back", async () => {
    const names = ['sp ace "quote"', "new\nline", '\u0000\u0001\u00ff\u0080\n"\u0007'];
    await suite.shell(1).call(async (node, given) => {
      for (const name of given) await node.ls.lock(Buffer.from(name, "latin1"));
    }, names);
    const { resources } = await dump(1);
    const read = resources?.map(({ name }) => Buffer.from(readResourceName(name)).toString("latin1"));
    assert.deepEqual(read?.sort(), [...names].sort());
  });

  it("requests under way to another node are listed", async () => {
    // mastered there, known there only
    const names = Array.from({ length: 12 }, (_, i) => `away ${i}`);
    for (const name of names) await hold(2, name, "NL");
    await suite.cluster.delay([1, 2], 1000);
    try {
      const { inFlight } = await suite.shell(1).call(
        async (node, name, resources) => {
          for (const resource of resources) node.ls.lock(resource, { mode: "NL" }).catch(() => undefined);
          await node.sleep(300);
          return node.lockDump(name);
        },
        LS,
        names,
      );
      assert.equal(inFlight?.length, names.length);
      assert.deepEqual(inFlight.map(({ resource }) => resource).sort(), [...names].sort());
      for (const { awaits, node } of inFlight)
        assert.ok(awaits === "lookup" ? node === undefined : awaits === "request" && node === 2);
    } finally {
      await suite.cluster.heal();
    }
  });

  it("an orphan is told by kernels that tell, and said to be unknown by others", async () => {
    const program = `
      const fs = require("fs");
      const fd = fs.openSync("/dev/misc/dlm_${LS}", "r+");
      const request = Buffer.alloc(126);
      request.writeUInt32LE(6, 0);
      request.set([1, 1], 12);
      request.set([5, 6], 16);
      request.writeUInt32LE(0x80, 20);
      request.writeBigUInt64LE(0xfeedn, 32);
      for (const cookie of [48, 56, 80]) request.writeUInt32LE(1, cookie);
      request.write("orphan", 120);
      fs.writeSync(fd, request);`;
    assert.equal((await suite.run(1, process.execPath, "-e", program)).code, 0);
    await hold(1, "ours");
    const { found, orphans } = await suite.shell(1).call(async (node, name) => {
      const all = await node.lockDump(name);
      return { found: all.resources?.find((resource) => resource.name === "orphan"), orphans: node.orphansOf(all) };
    }, LS);
    const release = (await suite.run(1, "uname", "-r")).stdout;
    const tells = release.startsWith("6.1.");
    const [lock] = found?.granted ?? [];
    assert.deepEqual([lock?.xid, lock?.process, lock?.orphan], [String(0xfeed), undefined, tells ? true : undefined]);
    assert.equal(orphans.known, tells);
    assert.deepEqual(
      orphans.locks.map(({ resource }) => resource.name),
      tells ? ["orphan"] : [],
    );
    // leaving is refused while it is there: it is purged like what it is
    const purge = `
      const fs = require("fs");
      const fd = fs.openSync("/dev/misc/dlm_${LS}", "r+");
      const request = Buffer.alloc(120);
      request.writeUInt32LE(6, 0);
      request.set([6, 1], 12);
      request.writeUInt32LE(1, 16);
      fs.writeSync(fd, request);`;
    assert.equal((await suite.run(1, process.execPath, "-e", purge)).code, 0);
  });

  it("what cannot be read is named, and the rest is there", async () => {
    await hold(1, "r");
    const dist = require.resolve("../../dist/dlm");
    const program = `
      const dlm = require(${JSON.stringify(dist)});
      (async () => {
        process.setgid(65534);
        process.setuid(65534);
        const answers = [await dlm.lockDump("${LS}"), await dlm.listLockspaces(), await dlm.clusterStatus()];
        process.stdout.write(JSON.stringify(answers));
      })();`;
    const { stdout, stderr } = await suite.run(1, process.execPath, "-e", program);
    assert.equal(stderr, "");
    const [unprivileged, list, status] = JSON.parse(stdout) as [LockDump, LockspaceList, ClusterStatus];
    assert.equal(unprivileged.resources, undefined);
    assert.deepEqual([...new Set(unprivileged.problems.map(({ code }) => code))], ["EACCES"]);
    assert.match(unprivileged.problems[0]!.hint, /\broot\b/);
    assert.equal(unprivileged.node, 1);
    // these need no privilege
    assert.deepEqual([list.lockspaces?.[0]?.state, list.problems], ["running", []]);
    assert.deepEqual([status.daemon?.node, status.problems], [1, []]);

    const problemsOf = (name: string): Promise<LockDump> =>
      suite.shell(1).call((node: NodeContext, asked: string) => node.lockDump(asked), name);
    assert.match((await problemsOf("never-joined")).problems[0]!.hint, /no member/);
    await suite.run(1, "umount", "/sys/kernel/debug");
    try {
      const unmounted = await problemsOf(LS);
      assert.equal(unmounted.resources, undefined);
      assert.match(unmounted.problems[0]!.hint, /mount -t debugfs/);
    } finally {
      await suite.run(1, "mount", "-t", "debugfs", "none", "/sys/kernel/debug");
    }
    assert.equal((await dump(1)).resources?.length, 1);
  });
});
