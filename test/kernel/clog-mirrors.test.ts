// Mirrors whose log is ours: every kind of table, growth, the way to the kernel's own disk log and back, and tables that
// must not be.

import assert from "node:assert/strict";

import { Bench } from "./clog/bench";
import { type MirrorTable, mirrorLine, tableWords } from "./clog/mirror";
import { Server } from "./clog/server";
import { itLong } from "../rounds";

const LENGTH = 4096;
const REGION = 256;
const ALL = Array.from({ length: LENGTH / REGION }, (_, region) => region);

describe("clog: mirrors", function () {
  this.timeout(120_000);
  let bench: Bench;
  let server: Server | undefined;

  /** A mirror on the n-th part of two ram disks; `device` is its log's. */
  const mirror = (part: number, more: Partial<MirrorTable>): MirrorTable => ({
    length: LENGTH,
    log: "clustered-core",
    uuid: `mirrors-${part}`,
    regionSize: REGION,
    legs: [
      ["/dev/ram0", part * LENGTH],
      ["/dev/ram1", part * LENGTH],
    ],
    handleErrors: true,
    ...more,
  });
  const disk = (part: number, more: Partial<MirrorTable> = {}): MirrorTable =>
    mirror(part, { log: "clustered-disk", device: "/dev/ram2", ...more });
  /** The kernel's own log on the same disks. */
  const kernels = (table: MirrorTable): MirrorTable => ({ ...table, log: "disk" });

  /** Writes to one leg only, which a resynchronisation of the region would undo. */
  const scratch = async ({ legs, regionSize }: MirrorTable, regions: readonly number[]): Promise<void> => {
    const [device, start] = legs[1] as readonly [string, number];
    for (const region of regions) await bench.fill(device, "k", start + region * regionSize + 16, 8);
  };
  /** Regions that the log device does not call clean, of the first 16. */
  const dirty = async (device: string): Promise<number[]> => {
    const bytes = await bench.sh(
      `dd if=${device} bs=4096 count=1 iflag=direct status=none | od -An -tu1 -j1024 -N2 -w2`,
    );
    const [low = 0, high = 0] = bytes.trim().split(/\s+/).map(Number);
    return ALL.filter((region) => (((high << 8) | low) & (1 << region)) === 0);
  };
  const soil = async (device: string, regions: readonly number[]): Promise<void> => {
    const bits = regions.reduce((left, region) => left & ~(1 << region), 0xffff);
    const bytes = `\\${(bits & 0xff).toString(8)}\\${(bits >> 8).toString(8)}`;
    await bench.sh(`printf '${bytes}' | dd of=${device} bs=1 seek=1024 conv=notrunc,fsync status=none
      blockdev --flushbufs ${device}`);
  };
  const without = (regions: readonly number[]): number[] => ALL.filter((region) => !regions.includes(region));
  /** Nobody was troubled. */
  const quiet = async (): Promise<void> => {
    const told = await server!.told();
    assert.deepEqual(
      told.filter(({ event, kind }) => event === "trouble" || (event === "report" && kind !== "in-sync")),
      [],
    );
  };

  before(async () => {
    bench = await Bench.open();
  });
  beforeEach(async () => {
    server = await Server.start(bench);
    for (const ram of [2, 3, 4]) await bench.fill(`/dev/ram${ram}`, "0", 0, 64);
    await bench.fill("/dev/ram0", "x", 0, 4 * LENGTH);
    await bench.fill("/dev/ram1", "y", 0, 4 * LENGTH);
  });
  afterEach(async () => {
    await bench.clean();
    await server?.stop();
    server = undefined;
  });
  after(() => bench.end());

  for (const log of ["clustered-core", "clustered-disk"]) {
    for (const integratedFlush of [false, true]) {
      for (const handleErrors of [false, true]) {
        const words = [
          log,
          ...(integratedFlush ? ["integrated_flush"] : []),
          ...(handleErrors ? ["handle_errors"] : []),
        ];
        // half of them have each pair of words
        const test = (integratedFlush === handleErrors) === (log === "clustered-disk") ? it : itLong;
        test(`${words.join(", ")}: three at once reach 100 %, and write both legs`, async () => {
          const tables = ([undefined, "sync", "nosync"] as const).map((sync, part) => {
            const device = log === "clustered-disk" ? { device: `/dev/ram${part + 2}` } : {};
            return mirror(part, { log, integratedFlush, handleErrors, sync, ...device });
          });
          await Promise.all(tables.map((table, part) => bench.create(`m${part}`, table)));
          for (const [part, table] of tables.entries()) {
            const name = `m${part}`;
            const { health, legs, log: told } = await bench.synced(name);
            assert.deepEqual({ health, legs }, { health: "AA", legs: ["1:0", "1:1"] });
            const device = `1:${part + 2}`;
            assert.deepEqual(told, table.device === undefined ? { type: log } : { type: log, device, health: "A" });
            assert.equal((await bench.sh(`dmsetup table ${name}`)).trim(), tableWords(table, ["1:0", "1:1"]));
            const deps = await bench.sh(`dmsetup deps -o devname ${name}`);
            assert.match(deps, table.device === undefined ? /^2 dep/ : /^3 dep/);
            assert.deepEqual(await bench.differ(table), part === 2 ? ALL : [], "nosync leaves the legs as they are");
            await bench.fill(`/dev/mapper/${name}`, "w", REGION, 16);
            for (const leg of ["/dev/ram0", "/dev/ram1"]) {
              assert.equal(await bench.letters(leg, part * LENGTH + REGION, 16), "ww");
            }
            await scratch(table, [3]);
            await bench.sh(`dmsetup suspend ${name}; dmsetup resume ${name}`);
            await bench.synced(name);
            assert.deepEqual(await bench.differ(table), part === 2 ? ALL : [3], "a suspend resynchronises nothing");
            const [leg, start] = table.legs[0] as [string, number];
            assert.equal(await bench.letters(leg, start + REGION, 24), part === 2 ? "wwx" : "wwx");
          }
          await quiet();
          assert.equal((await server!.logs()).length, 3);
          await bench.remove("m0", "m1", "m2");
          assert.deepEqual(await server!.logs(), []);
        });
      }
    }
  }

  it("a mirror that grows recovers what is new, and nothing else", async () => {
    const small = disk(0);
    const large = disk(0, { length: 2 * LENGTH });
    await bench.create("m", small);
    await bench.synced("m");
    await scratch(large, [3]);
    assert.deepEqual(await bench.differ(large), [3, ...ALL.map((region) => region + ALL.length)]);
    await bench.reload("m", large);
    assert.equal((await bench.synced("m")).regions, 2 * ALL.length);
    assert.deepEqual(await bench.differ(large), [3]);
    await bench.fill("/dev/mapper/m", "w", 2 * LENGTH - 8, 8);
    assert.equal(await bench.letters("/dev/ram1", 2 * LENGTH - 16, 16), "xw");
    assert.equal((await server!.logs()).length, 1);
    await quiet();
  });

  it("a table with the same log replaces the other while it is written", async () => {
    const table = disk(0);
    await bench.fill("/dev/ram0", "0", 0, LENGTH);
    await bench.create("m", table);
    const checker = bench.checker("/dev/mapper/m", { blocks: LENGTH / 8 });
    for (let round = 0; round < 5; round++) {
      await checker.progress(20);
      await bench.reload("m", { ...table, integratedFlush: round % 2 === 0 });
    }
    const { errors } = await checker.stop();
    assert.equal(errors, 0, checker.complaint);
    await bench.synced("m");
    for (const leg of ["/dev/mapper/m", "/dev/ram0", "/dev/ram1"]) await checker.verify(leg);
    assert.deepEqual(await bench.differ(table), []);
    await quiet();
  });

  for (const integratedFlush of [false, true]) {
    const how = integratedFlush ? ", with integrated_flush" : "";
    it(`goes from the kernel's disk log to ours and back: clean regions are left alone, dirty ones recovered${how}`, async () => {
      const ours = disk(0, { integratedFlush });
      const theirs = kernels(ours);
      await bench.create("m", theirs);
      await bench.synced("m");
      await bench.remove("m");
      // from the kernel's to ours
      await scratch(ours, ALL);
      await bench.create("m", ours);
      assert.equal((await bench.synced("m")).log.type, "clustered-disk");
      assert.deepEqual(await bench.differ(ours), ALL);
      await bench.remove("m");
      await soil("/dev/ram2", [3, 7, 8]);
      await bench.create("m", ours);
      await bench.synced("m");
      assert.deepEqual(await bench.differ(ours), without([3, 7, 8]));
      await bench.fill("/dev/mapper/m", "w", 5 * REGION, 8);
      await bench.remove("m");
      assert.deepEqual(await dirty("/dev/ram2"), [], "a removed mirror leaves a clean log");
      // and back
      await scratch(ours, ALL);
      await bench.create("m", theirs);
      assert.equal((await bench.synced("m")).log.type, "disk");
      assert.deepEqual(await bench.differ(ours), ALL);
      await bench.remove("m");
      await soil("/dev/ram2", [0, 15]);
      await bench.create("m", theirs);
      await bench.synced("m");
      assert.deepEqual(await bench.differ(ours), without([0, 15]));
      await quiet();
    });
  }

  it("what was being written when the power went is dirty to the kernel's disk log, too", async () => {
    const table = disk(0);
    await bench.create("m", table);
    await bench.synced("m");
    // Regions stay dirty for a while after their writes have ended, and the log device goes on changing: what a power cut
    // leaves is what the copy has.
    let left: number[] = [];
    for (let tries = 0; ![5, 9].every((region) => left.includes(region)); tries++) {
      assert.ok(tries < 10, left.join());
      await bench.fill("/dev/mapper/m", "w", 5 * REGION, 8);
      await bench.fill("/dev/mapper/m", "w", 9 * REGION, 8);
      await bench.sh("dd if=/dev/ram2 of=/dev/ram3 bs=4096 count=1 iflag=direct oflag=direct status=none");
      left = await dirty("/dev/ram3");
    }
    await bench.remove("m");
    await scratch(table, ALL);
    await bench.create("m", kernels({ ...table, device: "/dev/ram3" }));
    await bench.synced("m");
    assert.deepEqual(await bench.differ(table), without(left));
  });

  it("a region size that the kernel must not see fails the load, and says why", async () => {
    for (const regionSize of [0, 1, 3, 7, 384, 2 * LENGTH]) {
      for (const make of [mirror, disk]) {
        const table = make(0, { regionSize });
        const { code, stderr } = await bench.run(`dmsetup create m --table "${mirrorLine(table)}"`);
        assert.notEqual(code, 0, `region size ${regionSize}`);
        assert.match(stderr, /Invalid argument/);
      }
    }
    const told = (await server!.told()).filter(({ kind }) => kind === "construction-failed");
    assert.equal(told.length, 12);
    for (const { error } of told) assert.match((error as Error).message, /region size/);
    assert.deepEqual(await server!.logs(), []);
    // not even a CTR has come to it
    const { requests } = await server!.statistics();
    assert.equal(requests.GET_REGION_SIZE.count, 0);
  });

  it("a log device that has no room for the log fails the load, and says why", async () => {
    const small = await bench.device("small", "0 2 linear /dev/ram2 0");
    const { code } = await bench.run(`dmsetup create m --table "${mirrorLine(disk(0, { device: small }))}"`);
    assert.notEqual(code, 0);
    const { error } = await server!.until("why", ({ kind }) => kind === "construction-failed");
    assert.match((error as Error).message, /bytes are needed for 16 regions/);
    // the smallest that has
    await bench.device("small", "0 8 linear /dev/ram2 0");
    await bench.create("m", disk(0, { device: small }));
    await bench.synced("m");
    assert.deepEqual(await bench.differ(disk(0)), []);
  });

  it("a word that is no log's fails the load, and says why", async () => {
    const tables = [
      mirror(0, { log: "clustered-tape" }),
      disk(0, { device: "/dev/absent" }),
      disk(0, { device: "/dev/null" }),
    ];
    for (const table of tables) {
      const { code } = await bench.run(`dmsetup create m --table "${mirrorLine(table)}"`);
      assert.notEqual(code, 0, mirrorLine(table));
    }
    const told = (await server!.told()).filter(({ event }) => event === "trouble");
    assert.equal(told.length, tables.length);
    assert.deepEqual(await server!.logs(), []);
  });

  it("a mirror that is removed while there is no server is forgotten by the next", async () => {
    await bench.create("m", disk(0));
    await bench.create("n", mirror(1, {}));
    await bench.synced("m");
    await bench.synced("n");
    await server!.kill();
    await bench.remove("m");
    server = await Server.start(bench);
    assert.deepEqual(
      (await server.logs()).map(({ uuid }) => uuid),
      ["mirrors-1"],
    );
    await scratch(disk(0), ALL);
    await bench.create("m", disk(0));
    await bench.synced("m");
    assert.equal((await server.logs()).length, 2);
  });

  it("I/O goes on while JavaScript does not: to regions that were just written, and every read", async () => {
    await bench.create("m", disk(0, { sync: "nosync" }));
    const io = (count: number): string =>
      `dd if=/dev/zero of=/dev/mapper/m oflag=direct bs=4k seek=8 count=${count} conv=notrunc status=none
       dd if=/dev/mapper/m of=/dev/null iflag=direct bs=4k count=${count} status=none`;
    // from now on the log device says that the regions are dirty
    await bench.sh(io(32));
    const busy = server!.shell.call(() => {
      const end = Date.now() + 12_000;
      while (Date.now() < end);
    });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await bench.sh(io(32));
    let over = false;
    void busy.then(() => (over = true));
    await new Promise(setImmediate);
    assert.equal(over, false, "JavaScript was there again before the I/O had ended");
    await busy;
  });
});
