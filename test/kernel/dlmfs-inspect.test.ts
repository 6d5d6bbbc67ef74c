// What the kernel lists of a domain, held against what was done: files that plain programs have open on two nodes.

import assert from "node:assert/strict";

import type {
  DomainDump,
  DomainHolders,
  DomainResource,
  ExplainWaitOptions,
  WaitExplanation,
} from "../../lib/dlmfs/inspect";
import { holdersOf } from "../../lib/dlmfs/inspect";
import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { FileHolder, joinDomain } from "./support/domain";
import { kernelComplaints } from "./support/kernel-log";
import { command } from "./support/shell";

const INSPECT = require.resolve("../../dist/dlmfs/inspect");
const VALUE = "value of node 1";

// The cluster's numbers of the lab's nodes.
for (const [stack, N1, N2] of [
  ["o2cb", 0, 1],
  ["dlmfs-dlm", 1, 2],
] as const) {
  describe(`the dump of a domain: two nodes, ${stack}`, function () {
    this.timeout(180_000);
    const O2CB = stack === "o2cb";
    let cluster: Cluster;
    let files: FileHolder[] = [];

    before(async function () {
      this.timeout(600_000);
      cluster = await openCluster({ stack });
      await joinDomain(cluster);
    });
    after(async () => {
      const complaints = await Promise.all(cluster.nodes.map((node) => kernelComplaints(cluster, node)));
      await cluster.down();
      assert.deepEqual(complaints.flat(), []);
    });
    afterEach(async () => {
      // all together: one may wait for another's end
      await Promise.all(files.map((file) => file.close()));
      files = [];
    });

    const open = (node: number, name: string, mode: "PR" | "EX", value?: string): FileHolder => {
      const file = new FileHolder(cluster, node, name, mode, value);
      files.push(file);
      return file;
    };
    async function ask<T>(node: number, call: string, ...args: unknown[]): Promise<T> {
      const source = `require(${JSON.stringify(INSPECT)}).${call}(...${JSON.stringify(args)})
        .then((answer) => process.stdout.write(JSON.stringify(answer)));`;
      const { stdout, stderr } = await command(cluster, node, [process.execPath, "-e", source]);
      assert.equal(stderr, "");
      return JSON.parse(stdout) as T;
    }
    const dump = (node: number): Promise<DomainDump> => ask(node, "domainDump", "d");
    const find = (of: DomainDump, name: string): DomainResource => {
      const found = of.resources?.find((resource) => resource.name === name);
      assert.ok(found, `${name} is not among ${of.resources?.map((resource) => resource.name).join(", ")}`);
      return found;
    };
    const brief = (resource: DomainResource): unknown =>
      (["granted", "converting", "waiting"] as const).map((queue) =>
        resource[queue].map(({ node, mode, requested }) =>
          [node, mode, requested].filter((part) => part !== undefined),
        ),
      );
    /** The dump of a node as soon as so many requests wait in the resource. */
    async function whenWaiting(node: number, name: string, count = 1): Promise<DomainDump> {
      for (let tries = 0; ; tries++) {
        const now = await dump(node);
        const found = now.resources?.find((resource) => resource.name === name);
        if (found && found.converting.length + found.waiting.length >= count) return now;
        assert.ok(tries < 50, `nobody waits for ${name}: ${JSON.stringify(found)}`);
      }
    }
    const explain = async (
      node: number,
      name: string,
      mode: "PR" | "EX",
      stuck: FileHolder,
      options?: ExplainWaitOptions,
    ): Promise<WaitExplanation> => {
      const pid = await stuck.pid();
      return ask(
        node,
        "explainWait",
        "d",
        { name, mode, sinceMs: 12_345, phase: "kernel" },
        {
          opener: { pid, task: { tid: pid, phase: "kernel" } },
          ...options,
        },
      );
    };

    it("has masters, modes, queues, values and files, from either node", async () => {
      await (await open(1, "value", "EX", VALUE).opened()).close();
      await open(2, "value", "PR").opened();
      await (await open(1, "cached", "EX").opened()).close();
      const held = await open(1, "held", "EX").opened();
      open(2, "held", "PR");
      await open(1, "conv", "PR").opened();
      await open(2, "conv", "PR").opened();
      open(1, "conv", "EX");
      await open(2, "theirs", "EX").opened();
      open(1, "theirs", "EX");
      await whenWaiting(1, "held");
      await whenWaiting(1, "conv");
      await whenWaiting(2, "theirs");
      const [one, two] = [await dump(1), await dump(2)];
      for (const [of, node] of [
        [one, N1],
        [two, N2],
      ] as const) {
        assert.deepEqual([of.stack, of.node, of.members, of.problems], [O2CB ? "o2cb" : "fs/dlm", node, [N1, N2], []]);
        assert.deepEqual([of.recovery?.active, of.o2dlm?.state], [false, O2CB ? "joined" : undefined]);
      }
      // of what it masters a node lists all nodes' locks
      const at = (name: string): DomainResource => find(one, name);
      for (const name of ["value", "cached", "held", "conv"])
        assert.deepEqual([at(name).master, at(name).mastered], [N1, true]);
      assert.deepEqual(brief(at("cached")), [[[N1, "EX"]], [], []]);
      assert.deepEqual(brief(at("held")), [[[N1, "EX"]], [], [[N2, "PR"]]]);
      assert.deepEqual(brief(at("conv")), [[[N2, "PR"]], [[N1, "PR", "EX"]], []]);
      assert.deepEqual(
        at("value")
          .granted.map(({ node, mode }) => [node, mode])
          .sort(),
        [
          [N1, "PR"],
          [N2, "PR"],
        ],
      );
      const { lvb } = at("value");
      assert.equal(
        Buffer.from(lvb?.hex ?? "", "hex")
          .toString()
          .replace(/\0+$/, ""),
        VALUE,
      );
      assert.deepEqual([lvb?.hex.length, lvb?.valid], [128, O2CB ? undefined : true]);
      // of what another masters only its own
      const theirs = at("theirs");
      assert.deepEqual(
        [theirs.master, theirs.mastered, theirs.lvb, brief(theirs)],
        [N2, false, undefined, [[], [], [[N1, "EX"]]]],
      );
      assert.deepEqual(brief(find(two, "theirs")), [[[N2, "EX"]], [], [[N1, "EX"]]]);
      assert.deepEqual([find(two, "held").master, brief(find(two, "held"))], [N1, [[], [], [[N2, "PR"]]]]);
      // whether a lock is held or cached only its own node tells
      const [file, ...more] = at("held").openFiles ?? [];
      assert.deepEqual([file?.pid, file?.mode, file?.fd, file?.mount, more], [await held.pid(), "EX", 3, "/dlm", []]);
      assert.match(file?.command ?? "", /^sh /);
      assert.deepEqual(at("cached").openFiles, []);
      const uses = (of: DomainDump, name: string): unknown =>
        holdersOf(of, name).holders?.map(({ node, mode, use }) => [node, mode, use]);
      assert.deepEqual(uses(one, "held"), [[N1, "EX", "held"]]);
      assert.deepEqual(uses(one, "cached"), [[N1, "EX", "cached"]]);
      assert.deepEqual(uses(one, "conv"), [
        [N2, "PR", "unknown"],
        [N1, "PR", "held"],
      ]);
      assert.deepEqual(uses(two, "theirs"), [[N2, "EX", "held"]]);
      const asked: DomainHolders = await ask(2, "whoHoldsDomainLock", "d", "theirs");
      assert.deepEqual([asked.complete, asked.master, asked.waiting?.map(({ node }) => node)], [true, N2, [N1]]);
      const nothing: DomainHolders = await ask(1, "whoHoldsDomainLock", "d", "nobody's");
      assert.deepEqual(
        [nothing.complete, nothing.master, nothing.holders, nothing.waiting],
        [false, undefined, [], []],
      );
    });

    it("brings names back, and says which the kernel does not print in full", async () => {
      const plain = ["new\nline", "umläut \\ x", 'quo"te', "Nshort", "x".repeat(31)];
      const long = "Nabcdefghijklmnopqrstuvwxyz0123";
      for (const name of [...plain, long]) await open(1, name, "EX").opened();
      const one = await dump(1);
      const written = ["new\\x0aline", "umläut \\\\ x", 'quo"te', "Nshort", "x".repeat(31)];
      for (const [index, name] of written.entries()) {
        const { nameComplete, openFiles } = find(one, name);
        assert.deepEqual([nameComplete, openFiles?.length], [true, 1], plain[index]);
      }
      const cut = find(one, O2CB ? long.slice(0, 17) : long);
      assert.deepEqual([cut.nameComplete, cut.openFiles?.length], [!O2CB, O2CB ? undefined : 1]);
      for (const name of [...plain, long]) assert.equal(holdersOf(one, name).holders?.length, 1, name);
      assert.deepEqual(holdersOf(one, "Nabcdefghijklmnop-others").holders, []);
    });

    it("tells a stuck request whom it waits for", async () => {
      await open(1, "asked", "EX").opened();
      const stuck = open(2, "asked", "PR");
      const master = await whenWaiting(1, "asked");
      const alone = await explain(2, "asked", "PR", stuck);
      assert.deepEqual([alone.cause, alone.master, alone.complete, alone.problems], ["master", N1, false, []]);
      assert.deepEqual([alone.task?.state, alone.task?.wchan], ["D", "user_dlm_cluster_lock"]);
      assert.ok(alone.task?.stack?.includes("dlmfs_file_open"), String(alone.task?.stack));
      assert.match(
        alone.sentence,
        new RegExp(`^waits for PR on 'asked' of domain 'd' for 12\\.3 s: node ${N1} grants it, and only a dump`),
      );
      const both = await explain(2, "asked", "PR", stuck, { others: [master] });
      assert.deepEqual(
        both.blockers.map(({ node, mode, reason, use }) => [node, mode, reason, use]),
        [[N1, "EX", "held", "unknown"]],
      );
      assert.deepEqual([both.cause, both.complete], ["locks", true]);
      assert.match(both.sentence, new RegExp(`: node ${N1} holds or caches EX$`));
      // and what is ahead of it, on the master itself
      await open(1, "line", "PR").opened();
      await open(2, "line", "PR").opened();
      const upgrade = open(1, "line", "EX");
      await whenWaiting(1, "line");
      const ours = await explain(1, "line", "EX", upgrade);
      assert.deepEqual(
        [ours.cause, ours.blockers.map(({ node, mode, reason }) => [node, mode, reason])],
        ["locks", [[N2, "PR", "held"]]],
      );
    });

    it("tells a stuck request that its own node's files have to be closed first", async () => {
      const first = await open(1, "blocked", "PR").opened();
      open(2, "blocked", "EX");
      await whenWaiting(1, "blocked");
      const second = open(1, "blocked", "PR");
      await second.pid();
      await new Promise((resolve) => setTimeout(resolve, 2000));
      assert.equal(second.isOpen, false);
      const { cause, openFiles, sentence } = await explain(1, "blocked", "PR", second);
      assert.deepEqual([cause, openFiles?.map(({ pid }) => pid)], ["own-files", [await first.pid()]]);
      assert.match(sentence, /nobody here gets it again before process \d+ \(perl .*, PR\) has closed it$/);
    });

    it("answers while an unlink keeps the whole directory waiting", async () => {
      await open(2, "busy", "EX").opened();
      open(1, "busy", "EX");
      await whenWaiting(2, "busy");
      const unlink = cluster.exec(1, ["rm", "-f", "/dlm/d/busy"]);
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const fresh = open(1, "fresh", "EX");
      await fresh.pid();
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const { cause, task, sentence } = await explain(1, "fresh", "EX", fresh);
      assert.equal(cause, "directory", JSON.stringify(task));
      assert.match(sentence, /an unlink, a mkdir or an rmdir on the mount/);
      await Promise.all(files.map((file) => file.close()));
      await unlink.exit;
    });

    it("says why there is nothing to read", async () => {
      const none = await ask<DomainDump>(1, "domainDump", "never-joined");
      assert.equal(none.resources, undefined);
      assert.match(
        none.problems.map(({ hint }) => hint).join(),
        O2CB ? /not joined that domain/ : /no member of that lockspace/,
      );
    });
  });
}
