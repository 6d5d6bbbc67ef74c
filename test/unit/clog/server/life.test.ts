import assert from "node:assert/strict";

import type { LogContext } from "../../../../lib/clog";
import type { NativeRegions } from "../../../../lib/native";

import { Bench, WORDS, gate, pending, settled, until } from "./bench";
import { device } from "./fake-machine";

const SHARED = {} as NativeRegions;

describe("a log's life in a server", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.listen();
  });
  afterEach(() => bench.end());

  it("goes from its table's load to the table's end", async () => {
    const { machine, workshop } = bench;
    workshop.prepare = (log) => (log.device = "/dev/log");
    assert.deepEqual((await bench.construct(1n)).answer, { name: "CTR", device: "/dev/log" });
    assert.deepEqual((await bench.ask(1n, "GET_REGION_SIZE")).answer, { name: "GET_REGION_SIZE", size: 1024 });
    assert.equal(bench.server!.logs()[0]?.state, "created");
    assert.equal(bench.server!.log("m"), undefined);
    await bench.done(1n, "GET_SYNC_COUNT", "RESUME");
    assert.equal(bench.server!.log("m"), workshop.last);
    assert.deepEqual(bench.server!.logs(), [
      {
        ...{ uuid: "m", luid: 1n, flavour: "ulog", type: "fake", args: ["1024"], length: 8192, state: "active" },
        ...{ regionSize: 1024, regionCount: 8, device: undefined, description: undefined },
      },
    ]);
    await bench.done(1n, "PRESUSPEND", "POSTSUSPEND");
    assert.equal(bench.server!.logs()[0]?.state, "suspended");
    await bench.done(1n, "RESUME", "PRESUSPEND", "POSTSUSPEND", "DTR");
    const again = ["resume", "presuspend", "postsuspend"];
    assert.deepEqual(workshop.last.calls, [...again, ...again, "close"]);
    assert.deepEqual(bench.server!.logs(), []);
    assert.deepEqual(machine.files(), ["lock"]);
    const steps = ["resumed m 1", "suspended m 1"];
    assert.deepEqual(bench.steps, ["created m 1", ...steps, ...steps, "removed m 1"]);
    assert.deepEqual(bench.troubles, []);
  });

  it("knows the mirror's device once it runs", async () => {
    bench.machine.devices = [
      device("other", { active: "userspace 3 x fake 1024" }),
      device("mirror", { active: "userspace 3 m fake 1024" }),
    ];
    await bench.mirror();
    await until(() => bench.server!.logs()[0]?.device !== undefined);
    assert.deepEqual(bench.server!.logs()[0]?.device, { major: 254, minor: 3, name: "mirror" });
  });

  it("says so when two mirrors were given its UUID", async () => {
    const table = "userspace 3 m fake 1024";
    bench.machine.devices = [device("one", { active: table }), device("two", { inactive: table })];
    await bench.mirror(1n);
    await bench.construct(2n);
    await settled();
    assert.deepEqual(bench.troubles, []);
    bench.machine.devices = [device("one", { active: table }), device("two", { active: table })];
    await bench.done(2n, "RESUME");
    await until(() => bench.troubles.length > 0);
    assert.deepEqual(bench.troubles, [{ kind: "uuid-shared", uuid: "m", luid: 2n, mirrors: ["one", "two"] }]);
  });

  it("takes every step once, however often the kernel asks", async () => {
    await bench.construct(1n);
    await bench.done(1n, "RESUME", "RESUME", "PRESUSPEND", "PRESUSPEND", "POSTSUSPEND", "POSTSUSPEND", "DTR", "DTR");
    await bench.done(1n, "PRESUSPEND", "POSTSUSPEND");
    assert.deepEqual(bench.workshop.last.calls, ["resume", "presuspend", "postsuspend", "close"]);
  });

  it("makes up for steps that were sent when nobody was there", async () => {
    await bench.mirror(1n);
    await bench.done(1n, "POSTSUSPEND");
    await bench.done(1n, "RESUME", "PRESUSPEND", "RESUME", "DTR");
    const calls = "resume presuspend postsuspend resume presuspend postsuspend resume postsuspend close";
    assert.deepEqual(bench.workshop.last.calls, calls.split(" "));
  });

  it("is the receive thread's from the end of RESUME to POSTSUSPEND, if its regions are shared", async () => {
    const { machine, workshop } = bench;
    workshop.prepare = (log) => (log.shared = SHARED);
    await bench.construct(1n);
    const { opened, open } = gate();
    workshop.last.gates.set("resume", opened);
    const resumed = bench.ask(1n, "RESUME");
    await settled();
    assert.deepEqual(machine.socket, []);
    open();
    await resumed;
    assert.deepEqual(machine.socket, ["attach m 1"]);
    await bench.done(1n, "PRESUSPEND");
    assert.deepEqual(machine.socket, ["attach m 1"]);
    workshop.last.gates.set("postsuspend", new Promise(() => undefined));
    void bench.ask(1n, "POSTSUSPEND");
    await until(() => machine.socket.length === 2);
    assert.deepEqual(machine.socket, ["attach m 1", "detach m 1"]);
  });

  it("goes on, as the mirror does, when a step fails", async () => {
    await bench.construct(1n);
    const log = bench.workshop.last;
    log.gates.set("resume", Promise.reject(Object.assign(new Error("no"), { errno: -5 })));
    assert.equal((await bench.ask(1n, "RESUME")).error, -5);
    assert.equal(bench.server!.logs()[0]?.state, "active");
    log.gates.set("presuspend", Promise.reject(Object.assign(new Error("no"), { errno: -28 })));
    assert.equal((await bench.ask(1n, "PRESUSPEND")).error, -28);
    log.gates.set("postsuspend", Promise.reject(new Error("no")));
    assert.equal((await bench.ask(1n, "POSTSUSPEND")).error, -5);
    assert.equal(bench.server!.logs()[0]?.state, "suspended");
    log.gates.set("close", Promise.reject(new Error("no")));
    await bench.done(1n, "DTR");
  });

  describe("begins only when the kernel can live with it:", () => {
    async function refused(errno: number, message: RegExp, words: readonly string[] = WORDS): Promise<void> {
      assert.equal((await bench.construct(1n, words)).error, errno);
      const [trouble] = bench.troubles;
      assert.equal(trouble?.kind, "construction-failed");
      assert.match((trouble as { error: Error }).error.message, message);
      assert.deepEqual(bench.server!.logs(), []);
      await until(() => bench.machine.files().length === 1);
      assert.deepEqual(bench.machine.files(), ["lock"]);
    }

    for (const size of [0, 1, 3, 1536, -2, 0.5, NaN, 2 ** 32]) {
      it(`not with a region size of ${size}`, async () => {
        bench.workshop.prepare = (log) => (log.regionSize = size);
        await refused(-22, /region size of \S+ sectors: use a power of two/);
        assert.deepEqual(bench.workshop.last.calls, ["close"]);
      });
    }

    it("not with regions that are longer than the mirror", async () => {
      bench.workshop.prepare = (log) => (log.regionSize = 16384);
      await refused(-22, /more than the mirror's 8192/);
    });

    it("not with another number of regions than the kernel's", async () => {
      bench.workshop.prepare = (log) => (log.regionCount = 7);
      await refused(-22, /7 regions, where the kernel counts 8/);
    });

    it("not with a device name that the kernel has no room for", async () => {
      bench.workshop.prepare = (log) => (log.device = "x".repeat(128));
      await refused(-22, /127 bytes/);
    });

    it("not of a type that there is not", async () => {
      await refused(-22, /no log of type 'clustered-tape'; this server has fake/, ["8192", "clustered-tape", "1024"]);
    });

    it("not from words that are no table's", async () => {
      await refused(-22, /no length and type/, ["many", "fake"]);
    });

    it("not when it cannot be made, and the event says why", async () => {
      bench.workshop.prepare = () => {
        throw Object.assign(new Error("no such device"), { errno: -19 });
      };
      await refused(-19, /no such device/);
    });

    it("and tells the kernel neither EAGAIN nor ESRCH, which it would repeat for ever", async () => {
      for (const errno of [-11, -3]) {
        bench.workshop.prepare = () => {
          throw Object.assign(new Error("no"), { errno });
        };
        assert.equal((await bench.construct(1n)).error, -5);
      }
    });

    it("with one region, of the mirror's length", async () => {
      assert.equal((await bench.construct(1n, ["1024", "fake", "1024"])).error, 0);
    });
  });

  describe("when a table is replaced", () => {
    it("passes on before the next one resumes, if its POSTSUSPEND was lost", async () => {
      await bench.mirror(1n);
      const [first] = bench.workshop.made;
      const { opened, open } = gate();
      first!.gates.set("postsuspend", opened);
      await bench.construct(2n);
      const resumed = bench.ask(2n, "RESUME");
      await settled();
      assert.deepEqual(bench.workshop.last.calls, []);
      open();
      await resumed;
      assert.deepEqual(first!.calls, ["resume", "presuspend", "postsuspend"]);
      assert.equal(bench.server!.log("m"), bench.workshop.last);
      await bench.done(1n, "DTR");
      assert.equal(bench.server!.log("m"), bench.workshop.last);
    });

    it("is known to the next one", async () => {
      await bench.mirror(1n);
      await bench.construct(3n);
      const contexts: LogContext[] = [];
      bench.workshop.prepare = (log) => contexts.push(log.context);
      await bench.construct(2n);
      assert.equal(contexts[0]!.predecessor(), bench.workshop.made[0]);
      await bench.done(1n, "PRESUSPEND", "POSTSUSPEND");
      assert.equal(contexts[0]!.predecessor(), bench.workshop.made[0]);
      await bench.done(1n, "DTR");
      assert.equal(contexts[0]!.predecessor(), undefined);
    });

    it("gives way to another of the same number, which begins with nothing marked", async () => {
      const { machine, workshop } = bench;
      workshop.prepare = ({ context }) => context.regions(8, true);
      await bench.mirror(1n);
      await bench.construct(1n);
      assert.equal(workshop.made.length, 2);
      assert.deepEqual(
        machine.regions.map(({ restored, closed }) => [restored, closed]),
        [
          [false, true],
          [false, false],
        ],
      );
      assert.deepEqual(workshop.made[0]!.calls, ["resume", "postsuspend", "close"]);
      assert.equal(machine.kept()[0]?.["state"], "created");
      await bench.done(1n, "RESUME");
      assert.deepEqual(workshop.last.calls, ["resume"]);
    });

    it("has let go of its device before another of the same number resumes", async () => {
      await bench.mirror(1n);
      const { opened, open } = gate();
      bench.workshop.last.gates.set("close", opened);
      await bench.construct(1n);
      const resumed = bench.ask(1n, "RESUME");
      assert.ok(await pending(resumed));
      open();
      await resumed;
    });
  });

  describe("when the kernel had lost its server", () => {
    it("stays, and the answer has no device: there is no room for one", async () => {
      bench.workshop.prepare = (log) => (log.device = "/dev/log");
      await bench.mirror(1n);
      assert.deepEqual((await bench.construct(1n, WORDS, true)).answer, { name: "CTR", device: undefined });
      await bench.done(1n, "RESUME");
      assert.deepEqual(bench.workshop.last.calls, ["resume"]);
      assert.equal(bench.workshop.made.length, 1);
    });

    it("does not begin while the table before it runs, though the kernel says RESUME", async () => {
      await bench.mirror(1n);
      await bench.construct(2n);
      await bench.construct(2n, WORDS, true);
      await bench.done(2n, "RESUME", "GET_SYNC_COUNT");
      assert.deepEqual(bench.workshop.last.calls, []);
      assert.deepEqual(bench.workshop.made[0]!.calls, ["resume"]);
      // and begins when I/O comes
      await bench.inSync(2n, 0n);
      assert.deepEqual(bench.workshop.last.calls, ["resume"]);
      assert.deepEqual(bench.workshop.made[0]!.calls, ["resume", "presuspend", "postsuspend"]);
    });

    it("is not read anew between PRESUSPEND and POSTSUSPEND, when regions are still marked", async () => {
      await bench.mirror(1n);
      await bench.done(1n, "PRESUSPEND");
      await bench.construct(1n, WORDS, true);
      await bench.done(1n, "RESUME");
      assert.deepEqual(bench.workshop.last.calls, ["resume", "presuspend"]);
    });

    it("is read anew at a resume that follows soon", async () => {
      await bench.mirror(1n);
      await bench.construct(1n, WORDS, true);
      await bench.done(1n, "RESUME", "PRESUSPEND", "POSTSUSPEND", "RESUME");
      assert.deepEqual(bench.workshop.last.calls, ["resume", "presuspend", "postsuspend", "resume"]);
      await settled();
      assert.deepEqual(bench.troubles, []);
    });

    it("is made anew when it is unknown, as one that runs", async () => {
      const contexts: LogContext[] = [];
      bench.workshop.prepare = (log) => contexts.push(log.context);
      await bench.construct(7n, WORDS, true);
      await bench.done(7n, "RESUME");
      assert.deepEqual([contexts[0]!.origin, contexts[0]!.resumed], ["rebuilt", true]);
      assert.deepEqual(bench.workshop.last.calls, []);
      assert.deepEqual(bench.steps, ["rebuilt m 7"]);
    });

    it("has everything marked by a flush that comes first: nobody knows what it is for", async () => {
      bench.workshop.prepare = (log) => {
        for (const region of [0, 1, 3]) log.synced.add(region);
      };
      await bench.construct(7n, WORDS, true);
      await bench.done(7n, "RESUME", { name: "MARK_REGION", regions: [2n] }, { name: "FLUSH", regions: [] });
      await bench.done(7n, { name: "FLUSH", regions: [] });
      assert.deepEqual(bench.workshop.last.calls, ["mark 2", "mark 0 1 3", "flush", "flush"]);
    });

    it("has nothing else marked when the kernel was doing something else", async () => {
      for (const body of [
        { name: "IN_SYNC", region: 0n },
        { name: "CLEAR_REGION", regions: [1n] },
        { name: "GET_RESYNC_WORK" },
      ] as const) {
        bench.workshop.prepare = (log) => log.synced.add(0);
        const luid = BigInt(bench.workshop.made.length + 7);
        await bench.construct(luid, WORDS, true);
        await bench.done(luid, "RESUME", body);
        bench.workshop.last.calls.length = 0;
        await bench.done(luid, { name: "MARK_REGION", regions: [2n] }, { name: "FLUSH", regions: [] });
        assert.deepEqual(bench.workshop.last.calls, ["mark 2", "flush"]);
      }
    });

    it("leaves its requests to the server until that is clear, and then no more", async () => {
      bench.workshop.prepare = (log) => {
        log.shared = bench.workshop.last.context.regions(log.regionCount, true);
      };
      await bench.construct(7n, WORDS, true);
      await bench.done(7n, "RESUME", { name: "MARK_REGION", regions: [2n] });
      assert.deepEqual(bench.machine.socket, []);
      await bench.done(7n, { name: "FLUSH", regions: [] });
      assert.deepEqual(bench.machine.socket, ["attach m 7"]);
    });

    it("is made anew when it is known as another", async () => {
      await bench.mirror(1n);
      await bench.construct(1n, ["16384", "fake", "1024"], true);
      assert.equal(bench.workshop.made.length, 2);
      assert.equal(bench.workshop.last.context.origin, "rebuilt");
    });
  });

  describe("whose RESUME was lost", () => {
    it("begins with the first I/O", async () => {
      await bench.construct(1n);
      bench.workshop.last.synced.add(3);
      assert.equal(await bench.inSync(1n, 3n), true);
      assert.deepEqual(bench.workshop.last.calls, ["resume"]);
      assert.deepEqual(bench.kinds(), ["missed-resume"]);
    });

    it("does not begin with the clears that the kernel's worker has left when it was suspended", async () => {
      await bench.mirror(1n);
      await bench.done(1n, "PRESUSPEND", "POSTSUSPEND");
      const { length } = bench.workshop.last.calls;
      await bench.done(1n, { name: "CLEAR_REGION", regions: [1n] }, { name: "FLUSH", regions: [] }, "GET_SYNC_COUNT");
      await bench.done(1n, { name: "SET_REGION_SYNC", region: 1n, inSync: true }, "STATUS_INFO");
      assert.equal(bench.workshop.last.calls.length, length);
    });

    it("begins with marks", async () => {
      await bench.mirror(1n);
      await bench.done(1n, "PRESUSPEND", "POSTSUSPEND", { name: "FLUSH", regions: [1n] });
      assert.deepEqual(bench.workshop.last.calls.slice(-3), ["resume", "mark 1", "flush"]);
    });
  });

  it("of the older protocol has no luid, and its type is told by its words", async () => {
    const disk: LogContext[] = [];
    await bench.server!.close();
    bench.machine.kill();
    await bench.listen({ logs: { "clustered-disk": bench.workshop.factory } });
    bench.workshop.prepare = (log) => {
      disk.push(log.context);
      log.device = "/dev/log";
      log.shared = SHARED;
    };
    const seed = { uuid: "m", flavour: "clog" as const };
    const words = ["/dev/log", "1024", "m", "nosync", "8192"];
    const { answer } = await bench.machine.ask(seed, { name: "CTR", words, reconnect: false });
    assert.deepEqual(answer, { name: "CTR", device: undefined });
    const [{ type, args, length } = disk[0]!] = disk;
    assert.deepEqual(
      { type, args, length },
      { type: "clustered-disk", args: ["/dev/log", "1024", "nosync"], length: 8192 },
    );
    await bench.machine.ask(seed, { name: "RESUME" });
    assert.deepEqual(bench.machine.socket.slice(-1), ["attach m 0 seed"]);
    // a reload cannot be told from a repetition
    await bench.machine.ask(seed, { name: "CTR", words, reconnect: false });
    assert.equal(bench.workshop.made.length, 1);
    const table = await bench.machine.ask(seed, { name: "STATUS_TABLE" });
    assert.deepEqual(table.answer, { name: "STATUS_TABLE", text: "clustered-disk 4 /dev/log 1024 m nosync" });
  });
});
