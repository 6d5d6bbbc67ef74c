// What becomes of a value block when nodes die, leave and forget: the table in docs/kernel-notes.md, row by row, on both
// stacks, with one cluster of three nodes each. Only in the long runs: nodes die.

import assert from "node:assert/strict";
import { constants } from "node:fs";

import type { Cluster, Stack } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { Owner, buildProgram } from "./dlmfs/owner";
import { join, leave, seen, sh, sleep } from "./dlmfs/nodes";

const { O_RDONLY: PR, O_RDWR: EX, O_CREAT } = constants;
const DOMAIN = "d";
const path = (lock: string): string => `/dlm/${DOMAIN}/${lock}`;

// What a reader gets: the value, "" for zeros, null for "invalid".
type Value = string | null;

function survival(stack: Stack, expected: Readonly<Record<string, Value>>): void {
  describe(`the values of ocfs2_dlmfs, three nodes of stack ${stack}`, function () {
    this.timeout(400_000);
    let cluster: Cluster;
    const owners = new Map<number, Owner>();
    const on = (node: number): Owner => owners.get(node)!;

    /** Takes the lock, writes a value under EX if one is given, and keeps the lock or lets go of it. */
    async function use(node: number, lock: string, mode: number, value?: string, keep = false): Promise<number> {
      const fd = await on(node).opened(path(lock), mode | O_CREAT);
      if (value !== undefined) await on(node).setValue(fd, value);
      if (!keep) await on(node).do("close", fd);
      return fd;
    }

    /** What a node reads under a mode, having waited for recovery if need be. */
    async function read(node: number, lock: string, mode = PR): Promise<Value> {
      const call = on(node).open(path(lock), mode | O_CREAT);
      assert.ok(await call.ends(90_000), `n${node} was not granted ${lock}`);
      const fd = (await call.returned).result;
      assert.ok(typeof fd === "number", `${lock}: ${fd}`);
      const value = await on(node).value(fd);
      await on(node).do("close", fd);
      return value;
    }

    async function check(row: string, node: number, lock: string, mode = PR): Promise<void> {
      const before = await Promise.all(
        cluster.nodes.filter((n) => owners.has(n)).map(async (n) => [n, await seen(cluster, n, DOMAIN, lock)] as const),
      );
      const value = await read(node, lock, mode);
      const dumps = before.map(
        ([n, dump]) => `n${n}: ${dump === null ? "-" : `${dump.master ? "master " : ""}${JSON.stringify(dump.lvb)}`}`,
      );
      console.log(`        ${stack} ${row}: ${JSON.stringify(value)} (${dumps.join(", ")})`);
      assert.ok(row in expected, `${row}: ${JSON.stringify(value)}`);
      assert.equal(value, expected[row], row);
    }

    async function start(node: number): Promise<void> {
      await join(cluster, node, DOMAIN);
      owners.set(node, new Owner(cluster, node));
    }

    async function kill(node: number): Promise<void> {
      owners.delete(node);
      await cluster.kill(node);
    }

    async function back(node: number): Promise<void> {
      await cluster.start(node);
      await start(node);
    }

    before(async function () {
      this.timeout(300_000);
      buildProgram("owner");
      cluster = await openCluster({ stack, nodes: 3, cpus: 1 });
      for (const node of cluster.nodes) await start(node);
    });
    after(async () => cluster.down());

    it("by demand: kept", async () => {
      await use(1, "demand", EX, "written");
      await check("EX taken away by a PR request", 2, "demand");
      await use(3, "demand", EX, "again");
      await check("EX taken away by an EX request", 1, "demand", EX);
    });

    it("the last lock is unlinked everywhere", async () => {
      await use(1, "gone", EX, "written");
      await use(2, "gone", PR);
      for (const node of [2, 1]) await on(node).do("unlink", path("gone"));
      await check("all unlinked, asked for at once", 1, "gone");
      await on(1).do("unlink", path("gone"));
      const deadline = Date.now() + 90_000;
      const known = async (): Promise<boolean> =>
        (await Promise.all(cluster.nodes.map(async (node) => seen(cluster, node, DOMAIN, "gone")))).some(Boolean);
      while ((await known()) && Date.now() < deadline) await sleep(1000);
      await check("all unlinked, and purged", 2, "gone");
    });

    it("the master leaves", async () => {
      const names = ["leave-ex", "leave-pr", "leave-nl", "leave-nl-nl"];
      for (const name of names) await use(1, name, EX, "old");
      await use(2, "leave-ex", EX, "new");
      await use(2, "leave-pr", PR);
      for (const name of ["leave-nl", "leave-nl-nl"]) {
        await use(2, name, EX);
        await use(1, name, EX, "new");
      }
      await use(3, "leave-nl-nl", EX);
      await use(1, "leave-nl-nl", EX, "newer");
      for (const name of names) assert.equal((await seen(cluster, 1, DOMAIN, name))?.master, true, name);
      await on(1).end();
      owners.delete(1);
      await leave(cluster, 1, DOMAIN);
      // it is left when the last lock has another master
      await sleep(5000);
      await check("master leaves, another caches EX: a third node reads", 3, "leave-ex");
      await check("master leaves, another has PR: a third node reads", 3, "leave-pr");
      await check("master leaves, another has PR: that one reads", 2, "leave-pr");
      await check("master leaves, another has NL: that one reads", 2, "leave-nl");
      await check("master leaves, others have NL", 3, "leave-nl-nl");
      await start(1);
    });

    it("a node dies that is not the master", async () => {
      const names = ["dies-ex-held", "dies-ex-cached", "dies-ex-looked", "dies-ex-sticky", "dies-pr", "dies-nl"];
      for (const name of names) await use(1, name, EX, "old");
      await use(2, "dies-ex-held", EX, "new", true);
      for (const name of ["dies-ex-cached", "dies-ex-looked", "dies-ex-sticky"]) await use(2, name, EX, "new");
      await use(2, "dies-pr", PR, undefined, true);
      await use(2, "dies-nl", EX);
      await use(1, "dies-nl", EX, "written");
      await use(3, "dies-ex-looked", PR);
      await use(2, "dies-ex-looked", EX, "newest");
      await kill(2);
      await check("non-master dies, holds EX", 3, "dies-ex-held");
      await check("non-master dies, caches EX", 3, "dies-ex-cached");
      await check("non-master dies, holds PR", 3, "dies-pr");
      await check("non-master dies, has NL", 3, "dies-nl");

      // somebody takes EX and never looks
      await use(3, "dies-ex-looked", EX);
      await check("… the next takes EX and does not look, then another reads", 1, "dies-ex-looked");

      // somebody writes a new value
      const fd = await use(3, "dies-ex-sticky", EX, "mended", true);
      const locally = await on(3).value(fd);
      const again = await on(3).opened(path("dies-ex-sticky"), PR);
      assert.equal(await on(3).value(again), locally);
      console.log(`        ${stack} … the next writes: its own reads then give ${JSON.stringify(locally)}`);
      assert.equal(locally, expected["… the next writes: its own reads then give"]);
      for (const some of [fd, again]) await on(3).do("close", some);
      await check("… and then another reads", 1, "dies-ex-sticky");
      await back(2);
    });

    it("the master dies", async () => {
      const names = ["master-ex-held", "master-ex", "master-pr", "master-nl", "master-none"];
      for (const name of names) await use(1, name, EX, "old");
      await use(2, "master-ex-held", EX, "new", true);
      await use(2, "master-ex", EX, "new");
      await use(2, "master-pr", PR);
      await use(2, "master-nl", EX);
      await use(1, "master-nl", EX, "new");
      await use(3, "master-nl", PR);
      await use(1, "master-nl", EX, "newest");
      for (const name of names) assert.equal((await seen(cluster, 1, DOMAIN, name))?.master, true, name);
      await kill(1);
      await check("master dies, another caches EX that it has written under: a third node reads", 3, "master-ex");
      // who it is to be is chance; on o2cb a master that has PR does not read its own copy
      const heir = (await seen(cluster, 2, DOMAIN, "master-pr"))?.master
        ? "which is the new master"
        : "which is not the new master";
      await check(`master dies, another has PR, ${heir}: a third node reads`, 3, "master-pr");
      await check("master dies, others have NL", 2, "master-nl");
      await check("master dies, nobody else has it", 3, "master-none");
      await on(2).end();
      await check("master dies, another holds EX: a third node reads after its close", 3, "master-ex-held");
      owners.set(2, new Owner(cluster, 2));
      await back(1);
    });

    it("all leave the domain", async () => {
      await use(1, "all", EX, "old");
      await use(2, "all", PR);
      for (const node of cluster.nodes) {
        await on(node).end();
        await leave(cluster, node, DOMAIN);
      }
      await sh(cluster, 1, "sleep 2");
      for (const node of cluster.nodes) await start(node);
      await check("all leave the domain", 2, "all");
    });
  });
}

if (process.env["CLUSTERLOCK_LONG"] !== undefined) {
  const rows: [string, Value, Value][] = [
    ["EX taken away by a PR request", "written", "written"],
    ["EX taken away by an EX request", "again", "again"],
    ["all unlinked, asked for at once", "written", ""],
    ["all unlinked, and purged", "", ""],
    ["master leaves, another caches EX: a third node reads", "new", "new"],
    ["master leaves, another has PR: a third node reads", "", "old"],
    ["master leaves, another has PR: that one reads", "old", "old"],
    ["master leaves, another has NL: that one reads", "", null],
    ["master leaves, others have NL", "", null],
    ["non-master dies, holds EX", "", null],
    ["non-master dies, caches EX", "", null],
    ["non-master dies, holds PR", "old", "old"],
    ["non-master dies, has NL", "written", "written"],
    ["… the next takes EX and does not look, then another reads", "", "new"],
    ["… the next writes: its own reads then give", "mended", null],
    ["… and then another reads", "mended", "mended"],
    ["master dies, another caches EX that it has written under: a third node reads", "new", "new"],
    ["master dies, another has PR, which is the new master: a third node reads", "", "old"],
    ["master dies, another has PR, which is not the new master: a third node reads", "old", "old"],
    ["master dies, others have NL", "", null],
    ["master dies, nobody else has it", "", ""],
    ["master dies, another holds EX: a third node reads after its close", "new", "new"],
    ["all leave the domain", "", ""],
  ];
  survival("o2cb", Object.fromEntries(rows.map(([row, o2cb]) => [row, o2cb])));
  survival("dlmfs-dlm", Object.fromEntries(rows.map(([row, , fsDlm]) => [row, fsDlm])));
}
