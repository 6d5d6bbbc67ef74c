// Mirrors outlive their log server: it is killed and started again while they are written, resynchronised, suspended.

import assert from "node:assert/strict";

import { Bench, type Checker, endOf } from "./clog/bench";
import { type MirrorTable, mirrorLine } from "./clog/mirror";
import { Server } from "./clog/server";
import { rounds } from "../rounds";

const LENGTH = 8192;
const REGION = 128;
const REGIONS = LENGTH / REGION;
const BLOCKS = LENGTH / 8;

// The kernel looks for a server every 2 s, asks again for what it had no answer to every 15 s, and may find the next one
// not yet there: twice that, and what a start takes on a busy machine.
const STALL = 45_000;

const DIRECTORY = "/run/clusterlock/clogd";

describe("clog: the death of the server", function () {
  this.timeout(600_000);
  let bench: Bench;
  let server: Server;

  const core: MirrorTable = {
    length: LENGTH,
    log: "clustered-core",
    uuid: "survival-core",
    regionSize: REGION,
    legs: [
      ["/dev/ram0", 0],
      ["/dev/ram1", 0],
    ],
    handleErrors: true,
  };
  const disk: MirrorTable = {
    ...core,
    log: "clustered-disk",
    uuid: "survival-disk",
    device: "/dev/ram2",
    legs: [
      ["/dev/ram0", LENGTH],
      ["/dev/ram1", LENGTH],
    ],
  };
  const both = [
    { name: "c", table: core },
    { name: "d", table: disk },
  ];

  const restart = async (): Promise<void> => {
    await server.kill();
    server = await Server.start(bench);
  };
  const createBoth = async (more: Partial<MirrorTable> = {}): Promise<void> => {
    for (const { name, table } of both) await bench.create(name, { ...table, ...more });
  };
  const syncedBoth = async (): Promise<void> => {
    for (const { name } of both) await bench.synced(name);
  };
  const write = (): Checker[] =>
    both.map(({ name }, seed) =>
      bench.checker(`/dev/mapper/${name}`, { blocks: BLOCKS, threads: 2, seed, pause: 2000 }),
    );
  /** Nothing that was acknowledged is missing on either leg, and no write failed or hung. */
  const settle = async (checkers: Checker[]): Promise<void> => {
    for (const [i, checker] of checkers.entries()) {
      const { name, table } = both[i]!;
      const { errors, longest } = await checker.stop();
      assert.equal(errors, 0, checker.complaint);
      assert.ok(longest < STALL, `a write to ${name} took ${longest} ms`);
      await bench.synced(name);
      await checker.verify(`/dev/mapper/${name}`);
      for (const [leg, start] of table.legs as [string, number][]) await checker.verify(leg, start);
      assert.deepEqual(await bench.differ(table), []);
    }
  };
  const troubles = async (): Promise<string[]> =>
    (await server.told()).filter(({ event }) => event === "trouble").map((told) => JSON.stringify(told));

  before(async () => {
    bench = await Bench.open();
  });
  beforeEach(async () => {
    for (const ram of [0, 1]) await bench.fill(`/dev/ram${ram}`, "0", 0, 2 * LENGTH);
    await bench.fill("/dev/ram2", "0", 0, 64);
    server = await Server.start(bench);
  });
  afterEach(async () => {
    await bench.clean();
    await server.stop();
    await bench.sh(`rm -rf ${DIRECTORY}`);
  });
  after(() => bench.end());

  it("killed and started ten times while two mirrors are written: no error, no hang, nothing lost", async () => {
    await createBoth();
    await syncedBoth();
    const checkers = write();
    const times = rounds(20, 10);
    for (let time = 0; time < times; time++) {
      await Promise.all(checkers.map((checker) => checker.progress(50)));
      await server.kill();
      // while there is none, as long as it takes to be noticed in every other round
      if (time % 2 === 0) await bench.sh("sleep 1");
      server = await Server.start(bench);
    }
    await Promise.all(checkers.map((checker) => checker.progress(50)));
    const states = (await server.logs()).map(({ uuid, state }) => `${uuid} ${state}`);
    assert.deepEqual(states.sort(), ["survival-core active", "survival-disk active"]);
    await settle(checkers);
    assert.deepEqual(await troubles(), []);
  });

  it("killed during a resynchronisation: it goes on, and comes to its end", async () => {
    const [a, b] = [await bench.device("slow0", `0 ${2 * LENGTH} linear /dev/ram0 0`), "/dev/mapper/slow1"];
    await bench.device("slow1", `0 ${2 * LENGTH} delay /dev/ram1 0 30`);
    await bench.fill(a, "x", 0, 2 * LENGTH);
    for (const { name, table } of both) {
      const [, start] = table.legs[0] as [string, number];
      await bench.create(name, {
        ...table,
        legs: [
          [a, start],
          [b, start],
        ],
      });
    }
    const counts: number[] = [];
    for (let time = 0; time < 3; time++) {
      await bench.until("d", "some more regions", ({ inSync }) => inSync > (counts.at(-1) ?? 0));
      const { inSync } = await bench.status("d");
      counts.push(inSync);
      await restart();
      const after = (await bench.status("d")).inSync;
      assert.ok(after >= inSync, `${inSync} regions were in sync, and after the restart ${after}`);
    }
    assert.ok(counts[0]! < REGIONS, "it was over before the first death");
    await bench.device("slow1", `0 ${2 * LENGTH} linear /dev/ram1 0`);
    await syncedBoth();
    for (const { table } of both) assert.deepEqual(await bench.differ(table), []);
    assert.deepEqual(await troubles(), []);
  });

  it("killed, and what it knew is gone: writes go on, the blocked regions are told, suspend and resume heal", async () => {
    await createBoth();
    await syncedBoth();
    const checkers = write();
    await Promise.all(checkers.map((checker) => checker.progress(50)));
    await server.kill();
    await bench.sh(`rm -rf ${DIRECTORY}`);
    server = await Server.start(bench);
    await Promise.all(checkers.map((checker) => checker.progress(50)));
    for (const { name, table } of both) {
      await server.until(
        `blocked regions of ${name}`,
        ({ kind, uuid }) => kind === "resync-blocked" && uuid === table.uuid,
      );
      await server.until(`${name} rebuilt`, ({ action, uuid }) => action === "rebuilt" && uuid === table.uuid);
      const { inSync, regions } = await bench.status(name);
      assert.ok(inSync < regions);
      await bench.sh(`dmsetup suspend --noflush --nolockfs ${name}; dmsetup resume ${name}`);
      await bench.synced(name);
    }
    await settle(checkers);
  });

  it("stopped and started: writes wait, and nothing is to be recovered", async () => {
    await createBoth();
    await syncedBoth();
    const checkers = write();
    for (let time = 0; time < 2; time++) {
      await Promise.all(checkers.map((checker) => checker.progress(30)));
      await server.stop();
      server = await Server.start(bench);
    }
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    await settle(checkers);
    assert.deepEqual(
      (await server.told()).filter(({ event, action }) => event === "trouble" || action === "rebuilt"),
      [],
    );
  });

  it("killed between a table's load and its resume", async () => {
    for (const { name, table } of both) {
      await bench.sh(`dmsetup create ${name} --notable; dmsetup load ${name} --table "${mirrorLine(table)}"`);
    }
    await restart();
    await bench.sh("dmsetup resume c; dmsetup resume d");
    await syncedBoth();
    const checkers = write();
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    // and with another that is in use
    for (const { name, table } of both) await bench.sh(`dmsetup load ${name} --table "${mirrorLine(table)}"`);
    await restart();
    await bench.sh("for m in c d; do dmsetup suspend $m; dmsetup resume $m; done");
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    assert.equal((await server.logs()).length, 2);
    await settle(checkers);
  });

  it("killed while a mirror is suspended, which is resumed without it", async () => {
    await createBoth();
    await syncedBoth();
    const checkers = write();
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    await bench.sh("dmsetup suspend c; dmsetup suspend d");
    await server.kill();
    await bench.sh("dmsetup resume c; dmsetup resume d");
    server = await Server.start(bench);
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    assert.deepEqual(
      (await server.logs()).map(({ state }) => state),
      ["active", "active"],
    );
    await settle(checkers);
  });

  it("suspended while there is no server, which reads the logs anew at the resume", async () => {
    await createBoth();
    await syncedBoth();
    const checkers = write();
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    for (const checker of checkers) await checker.stop();
    // the kernel's worker has nothing left to ask
    for (const { table } of both) await server.clean(table.uuid!);
    await server.kill();
    await bench.sh("dmsetup suspend c; dmsetup suspend d");
    server = await Server.start(bench);
    await bench.sh("dmsetup status c; dmsetup status d; dmsetup resume c; dmsetup resume d");
    for (const { table } of both) {
      const steps = (await server.told()).filter(({ event, uuid }) => event === "log" && uuid === table.uuid);
      assert.deepEqual(
        steps.map(({ action }) => action),
        ["restored", "suspended", "resumed"],
      );
    }
    for (const checker of checkers) await checker.start();
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    await settle(checkers);
    assert.deepEqual(await troubles(), []);
  });

  it("a suspend that finds no server ends when there is one", async () => {
    await createBoth();
    await syncedBoth();
    const checkers = write();
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    await server.kill();
    const suspends = both.map(({ name }) => bench.background(`dmsetup suspend ${name}`));
    await bench.sh("sleep 1");
    server = await Server.start(bench);
    for (const suspend of suspends) assert.equal(await endOf(suspend, STALL), 0);
    await bench.sh("dmsetup resume c; dmsetup resume d");
    await Promise.all(checkers.map((checker) => checker.progress(30)));
    await settle(checkers);
  });

  it("a table that is loaded without a server is refused at once", async () => {
    await server.kill();
    const { code, stderr } = await bench.run(`dmsetup create c --table "${mirrorLine(core)}"`);
    assert.notEqual(code, 0);
    assert.match(stderr, /Invalid argument/);
    server = await Server.start(bench);
    await bench.create("c", core);
    await bench.synced("c");
  });
});
