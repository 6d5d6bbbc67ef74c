// What goes wrong on a real kernel when a log server does the obvious, and that ours does not. The numbers are of the facts
// in docs/clog.md, whose naive variants are test/kernel/clog/naive.ts.

import assert from "node:assert/strict";

import type { CoreLog } from "../../lib/clog";

import { Bench, endOf, firstLine } from "./clog/bench";
import { type MirrorTable, mirrorLine } from "./clog/mirror";
import { type NaiveNode, type Wrongs, startNaive } from "./clog/naive";
import { Server, type ServerNode } from "./clog/server";
import type { Shell } from "./support/shell";
import { itLong } from "../rounds";

const LENGTH = 8192;
const REGION = 512;

describe("clog: what naive servers do to a mirror, and ours does not", function () {
  this.timeout(120_000);
  let bench: Bench;
  let naive: Shell | undefined;
  let server: Server | undefined;
  let serial = 0;

  /** A mirror of /dev/ram0 and /dev/ram1; every one has a uuid of its own. */
  const core = (more: Partial<MirrorTable> = {}): MirrorTable => ({
    length: LENGTH,
    log: "clustered-core",
    uuid: `facts-${++serial}`,
    regionSize: REGION,
    legs: ["/dev/ram0", "/dev/ram1"],
    handleErrors: true,
    ...more,
  });
  const disk = (more: Partial<MirrorTable> = {}): MirrorTable =>
    core({ log: "clustered-disk", device: "/dev/ram2", ...more });

  const bad = async (wrongs: Wrongs): Promise<Shell> => (naive = await startNaive(bench.cluster, wrongs));
  const change = (shell: Shell, wrongs: Wrongs): Promise<void> =>
    shell.call((node, changed) => void Object.assign((node as NaiveNode).naive.wrongs, changed), wrongs);
  const trace = (shell: Shell): Promise<string[]> => shell.call((node) => (node as NaiveNode).naive.trace);
  const good = async (
    ...options: Parameters<typeof Server.start> extends [Bench, ...infer O] ? O : never
  ): Promise<Server> => (server = await Server.start(bench, ...options));
  const kill = async (shell: Shell): Promise<void> => {
    shell.process.kill("SIGKILL");
    await shell.process.exit;
  };
  const kernelSays = async (pattern: RegExp, ms = 20_000): Promise<string> => {
    const deadline = Date.now() + ms;
    for (let said = ""; ;) {
      said += await bench.kernelLog();
      if (pattern.test(said)) return said;
      assert.ok(Date.now() < deadline, `the kernel has not said ${String(pattern)}: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };

  before(async () => {
    bench = await Bench.open();
  });
  beforeEach(async () => {
    for (const ram of [0, 1, 2]) await bench.fill(`/dev/ram${ram}`, "0", 0, LENGTH);
    await bench.kernelLog();
  });
  afterEach(async () => {
    // whoever serves lets go of what a failed test has left
    if (naive !== undefined) await change(naive, { idle: false, recovering: false, nameAtReconnect: false });
    await bench.clean();
    await naive?.end();
    await server?.stop();
    naive = server = undefined;
  });
  after(() => bench.end());

  describe("8: a reconnect CTR must be answered without the device's name", () => {
    it("with it, the kernel asks for ever and I/O hangs", async () => {
      const first = await bad({ nameAtReconnect: true });
      await bench.create("m", disk());
      await bench.synced("m");
      await kill(first);
      const read = bench.background("blocks read /dev/mapper/m 0 8");
      await kernelSays(/Userspace log server not found/);
      const second = await bad({ nameAtReconnect: true });
      await kernelSays(/Insufficient space to receive package \[1\][^]*Insufficient space to receive package \[1\]/);
      assert.equal(await endOf(read, 3000), "late");
      await change(second, { nameAtReconnect: false });
      assert.equal(await endOf(read, 20_000), 0);
    });

    it("ours: the mirror goes on", async () => {
      const first = await good();
      await bench.create("m", disk());
      await bench.synced("m");
      await first.kill();
      const read = bench.background("blocks read /dev/mapper/m 0 8");
      await kernelSays(/Userspace log server not found/);
      await good();
      assert.equal(await endOf(read, 20_000), 0);
      assert.doesNotMatch(await bench.kernelLog(), /Insufficient space/);
    });
  });

  describe("9: EAGAIN must not take the full form where the kernel wants data", () => {
    itLong("in it, the kernel's next try has no room: a table is refused, a status is COM_FAILURE", async () => {
      const shell = await bad({ again: { types: [6], times: 1, form: "full" } });
      const { code } = await bench.run(`dmsetup create m --table "${mirrorLine(core())}"`);
      assert.notEqual(code, 0);
      await kernelSays(/Insufficient space to receive package \[6\]/);
      await bench.create("m", core());
      await change(shell, { again: { types: [15], times: 1, form: "full" } });
      assert.match(await bench.sh("dmsetup status m"), /COM_FAILURE/);
    });

    it("as an acknowledgement, it is asked again", async () => {
      const shell = await bad({ again: { types: [6, 14, 15], times: 3, form: "ack" } });
      await bench.create("m", core());
      await change(shell, { again: { types: [15], times: 1, form: "ack" } });
      assert.equal((await bench.status("m")).log.type, "clustered-core");
    });

    it("ours: what a log throws, EAGAIN too, goes out as an acknowledgement, and the next try has room", async () => {
      const serving = await good({}, (node) => {
        const context = node as ServerNode;
        context.logs["clustered-core"] = (log) => {
          let times = 2;
          return context.bend(log, {
            status: () => {
              if (times-- > 0) throw new context.clog.ClogError({ errno: -11, syscall: "status" });
              return "1 clustered-core";
            },
          });
        };
      });
      await bench.create("m", core());
      for (let time = 0; time < 2; time++) assert.match(await bench.sh("dmsetup status m"), /COM_FAILURE/);
      assert.equal((await bench.status("m")).log.type, "clustered-core");
      assert.doesNotMatch(await bench.kernelLog(), /Insufficient space/);
      await serving.until("why", ({ kind, request }) => kind === "request-failed" && request === "STATUS_INFO");
    });
  });

  describe("12: a region must not come in sync between the two questions of one write", () => {
    it("otherwise the legs differ, and all is said to be well", async () => {
      const shell = await bad({});
      const table = core({ sync: "nosync" });
      await bench.create("m", table);
      await bench.synced("m");
      await change(shell, { flip: 0 });
      await bench.fill("/dev/mapper/m", "z", 0, 8);
      const said = await trace(shell);
      const at = said.indexOf("IN_SYNC 0 -> 0000000000000000");
      assert.ok(at >= 0, said.join("\n"));
      assert.equal(said[at + 1], "IN_SYNC 0 -> 0100000000000000");
      assert.ok(
        said.slice(at).some((line) => line.startsWith("MARK 0 ")),
        said.join("\n"),
      );
      const { inSync, regions, health } = await bench.status("m");
      assert.deepEqual({ inSync, health }, { inSync: regions, health: "AA" });
      assert.deepEqual(await bench.differ(table), [0]);
    });

    it("ours: the second answer is as the first, and the region stays one to recover", async () => {
      const serving = await good({}, (node) => {
        const context = node as ServerNode;
        context.logs["clustered-core"] = (log) => {
          const bent = context.bend(log);
          let asked = 0;
          return Object.assign(bent, {
            // what has become of it meanwhile is wrong
            inSync: (region: number) =>
              region === 0 && bent.sync[0] === false ? asked++ > 0 : bent.sync[region] === true,
            resyncWork: () => undefined,
          });
        };
      });
      const table = core({ sync: "nosync" });
      await bench.create("m", table);
      await bench.synced("m");
      await serving.shell.call((node) => void ((node as ServerNode).bent[0]!.sync[0] = false));
      await bench.fill("/dev/mapper/m", "z", 0, 8);
      assert.deepEqual(await serving.shell.call((node) => (node as ServerNode).bent[0]!.marked), []);
      await serving.until(
        "that a wrong answer was prevented",
        ({ kind, request }) => kind === "wrong-answer-prevented" && request === "IN_SYNC",
      );
      await serving.shell.call((node) => {
        const log = (node as ServerNode).bent[0]!;
        log.inSync = (region) => log.sync[region] === true;
        log.resyncWork = () => (log.sync[0] ? undefined : 0);
      });
      assert.deepEqual(await bench.differ(table), [0]);
      await bench.sh("dmsetup suspend m; dmsetup resume m");
      await bench.synced("m");
      assert.deepEqual(await bench.differ(table), []);
    });
  });

  describe("13: what falls out of sync after all was in sync is recovered after the next resume only", () => {
    itLong("nobody is told, and the region stays on one leg", async () => {
      const shell = await bad({});
      const table = core();
      await bench.create("m", table);
      await bench.synced("m");
      await shell.call((node) => {
        const { naive } = node as NaiveNode;
        for (const log of naive.logs.values()) log.sync[2] = false;
        naive.trace.length = 0;
      });
      await bench.fill("/dev/mapper/m", "z", 2 * REGION, 8);
      await bench.sh("blocks read /dev/mapper/m 0 8; sleep 3");
      assert.deepEqual(await bench.differ(table), [2]);
      const said = await trace(shell);
      assert.deepEqual(
        said.filter((line) => /^(WORK|REMOTE|MARK)/.test(line)),
        [],
      );
      await bench.sh("dmsetup suspend --noflush --nolockfs m; dmsetup resume m");
      await bench.synced("m");
      assert.deepEqual(await bench.differ(table), []);
    });

    it("ours: reports it, and a suspend and a resume heal it", async () => {
      const first = await good();
      const table = disk();
      await bench.create("m", table);
      await bench.synced("m");
      await first.clean(table.uuid!);
      await bench.fill("/dev/mapper/m", "y", 2 * REGION, 8);
      await first.kill();
      // what the kernel has marked is known no more
      await bench.sh("rm -rf /run/clusterlock/clogd");
      const second = await good();
      await bench.fill("/dev/mapper/m", "z", 2 * REGION, 8);
      const { uuid, regions } = await second.until("a blocked resync", ({ kind }) => kind === "resync-blocked");
      assert.deepEqual({ uuid, regions }, { uuid: table.uuid, regions: 1 });
      assert.equal((await bench.status("m")).inSync, LENGTH / REGION - 1);
      await bench.sh("dmsetup suspend --noflush --nolockfs m; dmsetup resume m");
      await bench.synced("m");
      assert.deepEqual(await bench.differ(table), []);
    });
  });

  describe("14: who has said that there is no work must call for it", () => {
    itLong("otherwise nobody asks", async () => {
      const shell = await bad({ idle: true });
      await bench.create("m", core());
      await bench.sh("sleep 1");
      const asked = (await trace(shell)).filter((line) => line.startsWith("WORK")).length;
      assert.ok(asked > 0);
      await change(shell, { idle: false });
      await bench.sh("sleep 4");
      assert.equal((await bench.status("m")).inSync, 0);
      assert.equal((await trace(shell)).filter((line) => line.startsWith("WORK")).length, asked);
      await bench.sh("blocks read /dev/mapper/m 0 8");
      await bench.synced("m");
    });

    it("ours: calls for it when there is some again", async () => {
      const serving = await good({}, (node) => {
        const context = node as ServerNode;
        context.logs["clustered-core"] = (log) => {
          const paused = context.clog.CoreLog.create(log);
          paused.pauseResync();
          return paused;
        };
      });
      const table = core();
      await bench.create("m", table);
      await bench.sh("sleep 1");
      assert.equal((await bench.status("m")).inSync, 0);
      await serving.shell.call((node, uuid) => {
        const context = node as ServerNode;
        (context.server.log(uuid) as CoreLog).resumeResync();
      }, table.uuid!);
      await bench.synced("m");
      assert.deepEqual(await bench.differ(table), []);
    });
  });

  describe("16: a suspend must release what waits for another node's recovery", () => {
    it("otherwise it hangs", async () => {
      const shell = await bad({ recovering: true, idle: true });
      await bench.create("m", core());
      const write = bench.background("blocks write /dev/mapper/m 0 8 z");
      assert.equal(await endOf(write, 1500), "late");
      const suspend = bench.background("dmsetup suspend --noflush --nolockfs m");
      assert.equal(await endOf(suspend, 5000), "late");
      assert.equal(await endOf(write, 0), "late");
      await change(shell, { recovering: false });
      assert.equal(await endOf(suspend, 10_000), 0);
      await bench.sh("dmsetup resume m");
      assert.equal(await endOf(write, 10_000), 0);
    });

    it("ours: it ends", async () => {
      await good({}, (node) => {
        const context = node as ServerNode;
        context.logs["clustered-core"] = (log) =>
          context.bend(log, {
            resyncWork: () => undefined,
            remoteRecovering: () => ({ recovering: true, firstUnsynced: 0 }),
          });
      });
      await bench.create("m", core());
      const write = bench.background("blocks write /dev/mapper/m 0 8 z");
      assert.equal(await endOf(write, 1500), "late");
      assert.equal(await endOf(bench.background("dmsetup suspend --noflush --nolockfs m"), 10_000), 0);
      await server!.shell.call((node) => {
        const [log] = (node as ServerNode).bent;
        log!.remoteRecovering = () => ({ recovering: false, firstUnsynced: log!.regionCount });
      });
      await bench.sh("dmsetup resume m");
      assert.equal(await endOf(write, 10_000), 0);
    });
  });

  describe("18: a CTR may be abandoned, and its number used again", () => {
    const loads = 20;
    /** Loads tables whose log device is not there, each of which the kernel gives up after the CTR. */
    const abandon = async (uuid: string): Promise<void> => {
      const table = mirrorLine(disk({ uuid, device: "/dev/ram2" }));
      await bench.sh(`i=0; while [ $i -lt ${loads} ]; do i=$((i + 1))
        if dmsetup create m --table "${table}" 2>/dev/null; then exit 1; fi; done`);
    };

    itLong("one that refuses what it knows refuses good tables", async () => {
      const shell = await bad({ device: "/dev/absent" });
      await abandon("abandoned");
      const { known, dtr } = await shell.call((node) => {
        const { naive } = node as NaiveNode;
        return { known: naive.known, dtr: naive.trace.filter((line) => line.startsWith("DTR")).length };
      });
      assert.equal(dtr, 0, "the kernel tells nobody");
      assert.ok(known > 0, "no number was used again");
      await shell.call((node) => {
        const { wrongs } = (node as NaiveNode).naive;
        delete wrongs.device;
        wrongs.refuseKnown = true;
      });
      const { code } = await bench.run(`dmsetup create m --table "${mirrorLine(disk({ uuid: "abandoned" }))}"`);
      assert.notEqual(code, 0);
      await change(shell, { refuseKnown: false });
      await bench.create("m", disk({ uuid: "abandoned" }));
    });

    it("ours: puts the new one in its place, and forgets the others", async function () {
      this.timeout(300_000);
      const serving = await good({}, (node) => {
        const context = node as ServerNode;
        context.logs["clustered-disk"] = (log) => {
          const [device = "", ...args] = log.args;
          return context.bend({ ...log, args }, { device: context.bent.length < 20 ? "/dev/absent" : device });
        };
      });
      await abandon("abandoned");
      const table = disk({ uuid: "abandoned" });
      await bench.create("m", table);
      await bench.synced("m");
      assert.deepEqual(await bench.differ(table), []);
      const states = async (): Promise<string[]> => (await serving.logs()).map(({ state }) => state).sort();
      const [running, ...others] = await states();
      assert.equal(running, "active");
      // numbers that the kernel has not used again may still be a table's for a minute
      if (others.length > 0) {
        assert.ok(others.length < loads);
        await bench.sh("sleep 61; dmsetup suspend m; dmsetup resume m");
        await bench.synced("m");
      }
      for (let tries = 0; (await states()).length > 1; tries++) {
        assert.ok(tries < 50, "the others are not forgotten");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.deepEqual(await states(), ["active"]);
    });
  });

  describe("20: another listener on the kernel's group", () => {
    itLong("makes the kernel wait for ever when there is no server, where any user may join", async function () {
      const listener = bench.exec(["setpriv", "--reuid=65534", "--clear-groups", "stranger", "listen"]);
      const said = await firstLine(listener);
      if (!bench.atLeast(6, 6)) {
        assert.equal(said, "EPERM");
        return;
      }
      assert.equal(said, "joined");
      const create = bench.background(`dmsetup create m --table "${mirrorLine(core())}"`);
      assert.equal(await endOf(create, 3000), "late");
      create.kill("SIGKILL");
      await kernelSays(/Request timed out: \[1\//, 30_000);
      assert.equal(await endOf(create, 2000), "late", "not even SIGKILL ends it");
      listener.stdin.end();
      assert.notEqual(await endOf(create, 40_000), "late");
    });

    it("ours: says so", async () => {
      const user = bench.atLeast(6, 6) ? ["setpriv", "--reuid=65534", "--clear-groups"] : [];
      const listener = bench.exec([...user, "stranger", "listen"]);
      assert.equal(await firstLine(listener), "joined");
      const serving = await good();
      await serving.until("a foreign listener", ({ kind }) => kind === "foreign-listener");
      listener.stdin.end();
      await listener.exit;
    });
  });

  describe("21: two servers", () => {
    it("the kernel takes the answer of either, and so an error", async () => {
      const shell = await bad({ delay: 300 });
      const table = core({ sync: "nosync" });
      await bench.create("m", table);
      await bench.synced("m");
      const other = await startNaive(bench.cluster, { always: -22, port: 7777 });
      try {
        await bench.fill("/dev/mapper/m", "z", 0, 8);
        assert.deepEqual(await bench.differ(table), [0], "IN_SYNC was answered with an error: one leg was written");
        assert.ok((await trace(shell)).some((line) => line === "IN_SYNC 0 -> 0100000000000000"));
        assert.match(await bench.sh("dmsetup status m"), /COM_FAILURE/);
      } finally {
        await other.end();
      }
    });

    it("ours: the second does not start, and says why", async () => {
      await good();
      await assert.rejects(Server.start(bench, { directory: false }), {
        code: "EADDRINUSE",
        message: /already|another/,
      });
    });
  });
});
