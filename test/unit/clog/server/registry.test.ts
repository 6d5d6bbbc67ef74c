import assert from "node:assert/strict";
import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

import { LogServer } from "../../../../lib/clog";
import { monotonic } from "../../../../lib/clog/server/registry";
import type { NativeRegions } from "../../../../lib/native";

import { Bench, WORDS, gate, pending, settled, until } from "./bench";
import { device } from "./fake-machine";
import type { FakeLog } from "./fake-log";

const TABLE = "userspace 3 m fake 1024";

describe("what a log server leaves to its successor", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    bench.machine.devices = [device("mirror", { active: TABLE })];
    bench.workshop.prepare = withRegions;
    await bench.listen();
  });
  afterEach(() => bench.end());

  const withRegions = (log: FakeLog): void => {
    log.shared = log.context.regions(8, true);
  };
  const jsonFile = (): string => {
    const [name = "none"] = readdirSync(bench.machine.directory).filter((one) => one.endsWith(".json"));
    return path.join(bench.machine.directory, name);
  };
  const change = (more: object): void => {
    const kept = JSON.parse(readFileSync(jsonFile(), "utf8")) as object;
    writeFileSync(jsonFile(), JSON.stringify({ ...kept, ...more }));
  };
  const states = (): unknown[] => bench.server!.logs().map(({ luid, state }) => [luid, state]);

  it("is nobody else's to read", async () => {
    await bench.mirror();
    const { directory } = bench.machine;
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    for (const name of bench.machine.files().filter((one) => one.endsWith(".json") || one === "lock")) {
      assert.equal(statSync(path.join(directory, name)).mode & 0o777, 0o600);
    }
  });

  it("is there before the kernel has its answer, at every step", async () => {
    for (const [body, state] of [
      [{ name: "CTR", words: WORDS, reconnect: false }, "created"],
      [{ name: "RESUME" }, "active"],
      [{ name: "PRESUSPEND" }, "presuspended"],
      [{ name: "POSTSUSPEND" }, "suspended"],
    ] as const) {
      let seen: unknown;
      const answer = bench.ask(1n, body);
      bench.machine.onReply = () => (seen = bench.machine.kept()[0]?.["state"]);
      await answer;
      assert.equal(seen, state);
    }
    let seen: unknown;
    bench.machine.onReply = () => (seen = bench.machine.files());
    await bench.ask(1n, "DTR");
    assert.deepEqual(seen, ["lock"]);
  });

  it("makes a killed server's logs go on, known regions and all", async () => {
    await bench.mirror(2n ** 64n - 1n);
    await bench.restart();
    const { context, calls } = bench.workshop.last;
    const { origin, resumed, luid, type, args, length } = context;
    assert.deepEqual(
      { origin, resumed, luid, type, args: [...args], length },
      { origin: "restored", resumed: true, luid: 2n ** 64n - 1n, type: "fake", args: ["1024"], length: 8192 },
    );
    assert.equal(bench.machine.regions.at(-1)?.restored, true);
    assert.deepEqual(calls, []);
    assert.deepEqual(bench.machine.socket, ["attach m 18446744073709551615", "attach m 18446744073709551615"]);
    assert.deepEqual(states(), [[2n ** 64n - 1n, "active"]]);
    assert.deepEqual(bench.server!.logs()[0]?.device, { major: 254, minor: 3, name: "mirror" });
    await settled();
    assert.deepEqual(bench.steps, ["restored m 18446744073709551615"]);
    // the kernel, which had lost its server, and then goes on
    await bench.construct(2n ** 64n - 1n, WORDS, true);
    await bench.done(2n ** 64n - 1n, "RESUME", { name: "MARK_REGION", regions: [1n] });
    assert.deepEqual(bench.workshop.last.calls, ["mark 1"]);
  });

  describe("whose mirror was suspended when nobody was there", () => {
    const again = ["presuspend", "postsuspend", "resume"];

    it("is read anew when that ends, once", async () => {
      await bench.mirror();
      await bench.restart();
      // of somebody who asks for the mirror's status meanwhile
      await bench.done(1n, "STATUS_INFO", "GET_SYNC_COUNT", "RESUME", "RESUME");
      assert.deepEqual(bench.workshop.last.calls, again);
      assert.deepEqual(bench.troubles, []);
    });

    it("cannot be told in the older protocol", async () => {
      await bench.server!.close();
      bench.machine.kill();
      await bench.listen({ logs: { "clustered-core": bench.workshop.factory } });
      const seed = { uuid: "m", flavour: "clog" as const };
      const ctr = { name: "CTR", words: ["1024", "m", "8192"], reconnect: false } as const;
      await bench.machine.ask(seed, ctr);
      await bench.machine.ask(seed, { name: "RESUME" });
      bench.machine.devices = { errno: -13, syscall: "open" };
      await bench.restart({ logs: { "clustered-core": bench.workshop.factory } });
      await bench.machine.ask(seed, ctr);
      await bench.machine.ask(seed, { name: "RESUME" });
      assert.equal(bench.workshop.last.context.origin, "restored");
      assert.deepEqual(bench.workshop.last.calls, []);
    });

    it("is read anew although a step of that fails", async () => {
      await bench.mirror();
      await bench.restart();
      bench.workshop.last.gates.set("postsuspend", Promise.reject(new Error("no")));
      await bench.done(1n, "RESUME");
      assert.deepEqual(bench.workshop.last.calls, again);
      assert.deepEqual(bench.kinds(), ["request-failed"]);
    });

    for (const body of [
      { name: "IN_SYNC", region: 0n },
      { name: "FLUSH", regions: [] },
      { name: "CLEAR_REGION", regions: [1n] },
      { name: "GET_RESYNC_WORK" },
      { name: "IS_REMOTE_RECOVERING", region: 0n },
    ] as const) {
      it(`was not if ${body.name} came before: then RESUME is a repetition`, async () => {
        await bench.mirror();
        await bench.restart();
        await bench.done(1n, body, "RESUME");
        assert.ok(!bench.workshop.last.calls.includes("resume"));
      });
    }
  });

  it("tells which were suspended, which came first, and which were never resumed", async () => {
    await bench.mirror(1n);
    await bench.done(1n, "PRESUSPEND", "POSTSUSPEND");
    await bench.construct(2n);
    bench.machine.devices = [device("mirror", { active: TABLE, inactive: TABLE })];
    await bench.restart();
    assert.deepEqual(bench.machine.socket, ["attach m 1", "detach m 1"]);
    const made = bench.workshop.made.slice(-2);
    const byLuid = (luid: bigint): FakeLog => made.find(({ context }) => context.luid === luid)!;
    assert.deepEqual(
      made.map(({ context }) => [context.origin, context.resumed]),
      [
        ["restored", false],
        ["restored", false],
      ],
    );
    assert.equal(byLuid(2n).context.predecessor(), byLuid(1n));
    assert.equal(byLuid(1n).context.predecessor(), undefined);
    await bench.done(2n, "RESUME");
    assert.deepEqual(byLuid(2n).calls, ["resume"]);
  });

  it("is not kept where it is not wanted", async () => {
    await bench.server!.close();
    await bench.listen({ directory: false });
    await bench.mirror();
    assert.equal(bench.machine.regions.at(-1)?.file, undefined);
    assert.deepEqual(bench.machine.files(), ["lock"]);
  });

  it("stays when it closes, which is no suspend: the mirror goes on", async () => {
    await bench.mirror();
    await bench.server!.close();
    assert.deepEqual(bench.workshop.last.calls, ["resume", "detach"]);
    assert.equal(bench.machine.regions.at(-1)?.closed, true);
    assert.equal(bench.machine.kept()[0]?.["state"], "active");
    assert.deepEqual(bench.machine.socket.slice(-1), ["close"]);
    await bench.restart();
    assert.equal(bench.workshop.last.context.origin, "restored");
  });

  it("is not the second of two servers' to touch", async () => {
    await bench.mirror();
    bench.machine.devices = [];
    const files = bench.machine.files();
    const { directory } = bench.machine;
    const second = LogServer.listen({ directory, logs: { fake: bench.workshop.factory } });
    await assert.rejects(second, { code: "EADDRINUSE", message: /another daemon is already running/ });
    assert.deepEqual(bench.machine.files(), files);
    assert.equal(bench.machine.opened, 1);
    assert.equal(bench.workshop.made.length, 1);
  });

  it("is not taken from a directory that others can write to", async () => {
    await bench.server!.close();
    bench.machine.kill();
    chmodSync(bench.machine.directory, 0o777);
    await assert.rejects(bench.listen(), { code: "EPERM", message: /others can write to it/ });
  });

  it("has to have a place", async () => {
    await bench.server!.close();
    bench.machine.kill();
    bench.machine.put("file", "");
    const directory = path.join(bench.machine.root, "file", "clogd");
    await assert.rejects(bench.listen({ directory }), { name: "Error", code: "ENOTDIR", message: /option directory/ });
  });

  describe("is of no use", () => {
    const rebuilt = async (): Promise<void> => {
      await settled();
      assert.deepEqual(bench.kinds(), ["damaged"]);
      bench.workshop.last.calls.length = 0;
      await bench.done(1n, { name: "MARK_REGION", regions: [1n] });
      assert.equal(bench.workshop.last.context.origin, "rebuilt");
      assert.equal(bench.machine.regions.at(-1)?.restored, false);
      assert.deepEqual(bench.workshop.last.calls, ["mark 1"]);
    };

    it("after a boot: the kernel has no such log", async () => {
      await bench.mirror();
      bench.machine.put("proc/sys/kernel/random/boot_id", "11111111-9dad-11d1-80b4-00c04fd430c8\n");
      await bench.restart();
      assert.deepEqual(bench.server!.logs(), []);
      assert.deepEqual(bench.machine.files(), ["lock"]);
    });

    it("when no table has the log any more", async () => {
      await bench.mirror();
      bench.machine.devices = [device("mirror", { active: "userspace 3 mm fake 1024" })];
      await bench.restart();
      assert.deepEqual(bench.server!.logs(), []);
      assert.deepEqual(bench.machine.files(), ["lock"]);
    });

    it("but stays when device-mapper does not tell", async () => {
      await bench.mirror();
      bench.machine.devices = { errno: -13, syscall: "open" };
      await bench.restart();
      assert.deepEqual(states(), [[1n, "active"]]);
    });

    it("but stays while the table is being loaded, which no list has yet", async () => {
      await bench.construct(1n);
      bench.machine.devices = [];
      await bench.restart();
      assert.deepEqual((await bench.ask(1n, "GET_REGION_SIZE")).answer, { name: "GET_REGION_SIZE", size: 1024 });
      change({ changedAt: monotonic() - 61_000 });
      await bench.restart();
      assert.deepEqual(bench.server!.logs(), []);
    });

    for (const [what, text] of [
      ["cut short", '{"version":1,"boot":"6ba7'],
      ["empty", ""],
      ["of another make", '{"version":2}'],
      ["nothing at all", "null"],
    ] as const) {
      it(`when a file is ${what}; the log is rebuilt`, async () => {
        await bench.mirror();
        writeFileSync(jsonFile(), text);
        await bench.restart();
        assert.deepEqual(bench.server!.logs(), []);
        await rebuilt();
      });
    }

    it("when a file is another log's", async () => {
      await bench.mirror();
      change({ luid: "7" });
      await bench.restart();
      await rebuilt();
    });

    it("when the regions are gone; the log is rebuilt", async () => {
      await bench.mirror();
      bench.machine.remove(`run/clogd/${path.basename(jsonFile(), ".json")}.regions`);
      await bench.restart();
      await rebuilt();
    });

    it("when its log was rebuilt, and what the kernel is about was not known yet: it is rebuilt again", async () => {
      bench.workshop.prepare = (log) => {
        withRegions(log);
        log.synced.add(0);
      };
      await bench.mirror();
      bench.machine.remove(`run/clogd/${path.basename(jsonFile(), ".json")}.regions`);
      await bench.restart();
      await rebuilt();
      await bench.restart();
      await bench.done(1n, { name: "FLUSH", regions: [] });
      assert.deepEqual(bench.workshop.last.calls, ["mark 0", "flush"]);
      await bench.restart();
      assert.deepEqual(states(), [[1n, "active"]]);
    });

    it("when the regions are another number's; the log is rebuilt", async () => {
      await bench.mirror();
      writeFileSync(jsonFile().replace(".json", ".regions"), "9");
      await bench.restart();
      await rebuilt();
    });

    it("and is cleared away when nobody knows what it is", async () => {
      await bench.mirror();
      bench.machine.put("run/clogd/0123.regions", "8");
      bench.machine.put("run/clogd/0123.json.7", "{");
      await bench.restart();
      assert.equal(bench.machine.files().length, 3);
    });
  });

  describe("does not keep a server from beginning", () => {
    it("when a log cannot be made: that is tried again when the kernel asks", async () => {
      await bench.mirror();
      bench.workshop.prepare = () => {
        throw new Error("no such device");
      };
      await bench.restart();
      await settled();
      assert.deepEqual(bench.kinds(), ["construction-failed"]);
      assert.deepEqual(bench.server!.logs(), []);
      bench.workshop.prepare = withRegions;
      await bench.done(1n, { name: "MARK_REGION", regions: [1n] });
      assert.equal(bench.workshop.last.context.origin, "restored");
      assert.equal(bench.machine.regions.at(-1)?.restored, true);
    });

    it("when its table goes meanwhile", async () => {
      await bench.mirror();
      bench.workshop.prepare = () => {
        throw new Error("no such device");
      };
      await bench.restart();
      await bench.done(1n, "DTR");
      assert.deepEqual(bench.machine.files(), ["lock"]);
    });

    it("when one takes for ever, though it waits a while", async function () {
      this.timeout(15_000);
      await bench.mirror();
      const { opened, open } = gate();
      bench.workshop.prepare = async (log) => {
        await opened;
        withRegions(log);
      };
      await bench.restart();
      const marked = bench.ask(1n, { name: "MARK_REGION", regions: [1n] });
      assert.ok(await pending(marked));
      open();
      assert.equal((await marked).error, 0);
      assert.deepEqual(bench.machine.socket, ["attach m 1", "attach m 1"]);
    });
  });

  describe("of logs that the kernel has forgotten without a word", () => {
    // as if a minute had passed
    const age = async (): Promise<void> => {
      change({ changedAt: monotonic() - 61_000 });
      await bench.restart();
    };

    it("goes when another table of the log comes, and no list has theirs", async () => {
      await bench.construct(1n);
      bench.machine.devices = { errno: -13, syscall: "open" };
      await age();
      bench.machine.devices = [];
      await bench.construct(2n);
      await until(() => bench.machine.kept().length === 1);
      assert.deepEqual(states(), [[2n, "created"]]);
      assert.deepEqual(bench.workshop.made.at(-2)!.calls, ["close"]);
    });

    it("stays while a table may have it", async () => {
      await bench.construct(1n);
      bench.machine.devices = { errno: -13, syscall: "open" };
      await age();
      bench.machine.devices = [device("mirror", { active: TABLE, inactive: TABLE })];
      await bench.mirror(2n);
      await settled();
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(states().length, 2);
    });

    it("stays for a minute, in which its table may still be loaded", async () => {
      await bench.construct(1n);
      bench.machine.devices = [];
      await bench.construct(2n);
      await settled();
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(states().length, 2);
    });
  });

  it("is told when it could not be kept, and the kernel goes on", async () => {
    await bench.construct(1n);
    bench.machine.remove("run/clogd");
    await bench.done(1n, "RESUME");
    assert.deepEqual(bench.kinds(), ["not-kept"]);
    assert.deepEqual(states(), [[1n, "active"]]);
  });

  it("refuses a new table when it cannot be kept, and serves one that the kernel is using", async () => {
    bench.workshop.prepare = () => undefined;
    bench.machine.remove("run/clogd");
    assert.equal((await bench.construct(1n)).error, -2);
    assert.equal((await bench.construct(1n, WORDS, true)).error, 0);
    assert.equal(await bench.inSync(1n, 0n), false);
    assert.deepEqual(bench.kinds(), ["construction-failed", "not-kept"]);
  });

  it("gives regions once, and none to a log whose table is gone", async () => {
    bench.workshop.prepare = (log) => {
      log.context.regions(8, true);
      log.context.regions(8, true);
    };
    assert.equal((await bench.construct(1n)).error, -5);
    const { opened, open } = gate();
    let late: NativeRegions | Error | undefined;
    bench.workshop.prepare = async (log) => {
      await opened;
      try {
        late = log.context.regions(8, true);
      } catch (error) {
        late = error as Error;
      }
    };
    void bench.construct(1n);
    await until(() => bench.workshop.made.length === 2);
    bench.workshop.prepare = withRegions;
    await bench.construct(1n, ["8192", "fake", "1024", "sync"]);
    open();
    await until(() => late !== undefined);
    assert.match((late as Error).message, /no table any more/);
  });
});
