import assert from "node:assert/strict";

import type { LogServerStatistics } from "../../../../lib/clog";
import { encodeRequest } from "../../../../lib/clog/protocol/kernel-side";
import { type RequestBody, type RequestName, requestNumber } from "../../../../lib/clog/protocol/requests";
import type { NativeRegions } from "../../../../lib/native";

import { Bench, WORDS, gate, pending, settled } from "./bench";
import { device } from "./fake-machine";

const IN_SYNC: RequestBody = { name: "IN_SYNC", region: 0n };

describe("a log server's answers", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.listen();
    await bench.mirror();
    bench.workshop.last.calls.length = 0;
  });
  afterEach(() => bench.end());

  it("are the log's", async () => {
    const log = bench.workshop.last;
    Object.assign(log.answers, { resyncWork: 5, status: "3 fake 1:2 A", recovering: true, hint: 3 });
    log.synced.add(0).add(7);
    const answers: Record<string, unknown>[] = [];
    for (const body of [
      IN_SYNC,
      { name: "IN_SYNC", region: 1n },
      { name: "IS_CLEAN", region: 7n },
      { name: "GET_RESYNC_WORK" },
      { name: "GET_SYNC_COUNT" },
      { name: "STATUS_INFO" },
      { name: "IS_REMOTE_RECOVERING", region: 4n },
    ] as RequestBody[]) {
      answers.push({ ...(await bench.ask(1n, body)).answer });
    }
    assert.deepEqual(answers, [
      { name: "IN_SYNC", yes: true },
      { name: "IN_SYNC", yes: false },
      { name: "IS_CLEAN", yes: true },
      { name: "GET_RESYNC_WORK", region: 5 },
      { name: "GET_SYNC_COUNT", count: 2 },
      { name: "STATUS_INFO", text: "3 fake 1:2 A" },
      { name: "IS_REMOTE_RECOVERING", recovering: true, firstUnsynced: 3 },
    ]);
    log.calls.length = 0;
    await bench.done(1n, { name: "MARK_REGION", regions: [1n, 2n] }, { name: "CLEAR_REGION", regions: [2n] });
    await bench.done(1n, { name: "FLUSH", regions: [3n] }, { name: "FLUSH", regions: [] });
    await bench.done(1n, { name: "SET_REGION_SYNC", region: 4n, inSync: true });
    assert.deepEqual(log.calls, ["mark 1 2", "clear 2", "mark 3", "flush", "flush", "setRegionSync 4 true"]);
  });

  it("of a FLUSH that carries marks come after both", async () => {
    const log = bench.workshop.last;
    const marks = gate();
    log.gates.set("mark", marks.opened);
    const flushed = bench.ask(1n, { name: "FLUSH", regions: [3n] });
    await settled();
    assert.deepEqual(log.calls, ["mark 3"]);
    marks.open();
    await flushed;
    assert.deepEqual(log.calls, ["mark 3", "flush"]);
  });

  describe("to the same question", () => {
    it("are one, for everybody who has asked meanwhile", async () => {
      const { opened, open } = gate();
      const log = bench.workshop.last;
      log.gates.set("mark", opened);
      const mark: RequestBody = { name: "MARK_REGION", regions: [1n] };
      const answers = [bench.ask(1n, mark), bench.ask(1n, mark), bench.ask(1n, mark)];
      await settled();
      assert.deepEqual(log.calls, ["mark 1"]);
      open();
      for (const { error } of await Promise.all(answers)) assert.equal(error, 0);
      assert.equal(bench.server!.statistics().coalesced, 2);
      assert.equal(bench.server!.statistics().retries, 0);
      await bench.done(1n, mark);
      assert.equal(log.calls.length, 2);
    });

    it("are not for those who ask for something else", async () => {
      const log = bench.workshop.last;
      log.gates.set("mark", new Promise(() => undefined));
      void bench.ask(1n, { name: "MARK_REGION", regions: [1n] });
      void bench.ask(1n, { name: "MARK_REGION", regions: [2n] });
      await settled();
      assert.deepEqual(log.calls, ["mark 1", "mark 2"]);
    });

    it("are two of FLUSH: what was marked since the first began is not durable when that ends", async () => {
      const log = bench.workshop.last;
      const first = gate();
      const second = gate();
      log.gates.set("flush", first.opened);
      const flush: RequestBody = { name: "FLUSH", regions: [] };
      const early = bench.ask(1n, flush);
      await settled();
      await bench.done(1n, { name: "MARK_REGION", regions: [1n] });
      log.gates.set("flush", second.opened);
      const late = [bench.ask(1n, flush), bench.ask(1n, flush)];
      first.open();
      await early;
      assert.ok(await pending(Promise.race(late)));
      assert.deepEqual(log.calls, ["flush", "mark 1", "flush"]);
      second.open();
      await Promise.all(late);
      assert.deepEqual(log.calls, ["flush", "mark 1", "flush"]);
    });

    it("are one of FLUSH when nothing was marked since, or one that is always slow would never be answered", async () => {
      const log = bench.workshop.last;
      const { opened, open } = gate();
      log.gates.set("flush", opened);
      const body: RequestBody = { name: "FLUSH", regions: [1n] };
      const answers = [bench.ask(1n, body), bench.ask(1n, body)];
      open();
      await Promise.all(answers);
      assert.deepEqual(log.calls, ["mark 1", "flush"]);
    });

    it("are two of FLUSH when the receive thread may have marked", async () => {
      const log = bench.workshop.last;
      log.shared = {} as NativeRegions;
      const { opened, open } = gate();
      log.gates.set("flush", opened);
      const body: RequestBody = { name: "FLUSH", regions: [] };
      const answers = [bench.ask(1n, body), bench.ask(1n, body)];
      open();
      await Promise.all(answers);
      assert.deepEqual(log.calls, ["flush", "flush"]);
    });

    it("tell of a second time, when the first took longer than the kernel waits", async () => {
      bench.workshop.last.gates.set("clear", new Promise(() => undefined));
      const identity = { uuid: "m", luid: 1n };
      const body: RequestBody = { name: "CLEAR_REGION", regions: [1n] };
      void bench.machine.send([{ identity, body, age: 13_500 }]);
      await new Promise((resolve) => setTimeout(resolve, 600));
      void bench.machine.send([{ identity, body }]);
      const [trouble] = bench.troubles;
      assert.equal(trouble?.kind, "retry");
      assert.ok(trouble.ms >= 14_000);
      const { retries, coalesced } = bench.server!.statistics();
      assert.deepEqual({ retries, coalesced }, { retries: 1, coalesced: 1 });
    });

    it("are none when it is so old that it has been asked again: a clear would undo the next mark", async () => {
      const identity = { uuid: "m", luid: 1n };
      void bench.machine.send([{ identity, body: { name: "CLEAR_REGION", regions: [1n] }, age: 15_001 }]);
      await settled();
      assert.deepEqual(bench.workshop.last.calls, []);
      assert.equal(bench.server!.statistics().dropped, 1);
    });
  });

  it("do not wait for other logs, nor for other methods that never end", async () => {
    const { workshop } = bench;
    const log = workshop.last;
    for (const name of ["flush", "clear", "resume"]) log.gates.set(name, new Promise(() => undefined));
    void bench.ask(1n, { name: "FLUSH", regions: [] });
    void bench.ask(1n, { name: "CLEAR_REGION", regions: [1n] });
    workshop.prepare = () => new Promise(() => undefined);
    void bench.machine.ask({ uuid: "hangs" }, { name: "CTR", words: WORDS, reconnect: false });
    await settled();
    workshop.prepare = () => undefined;
    await bench.done(1n, { name: "MARK_REGION", regions: [2n] }, "GET_SYNC_COUNT", "STATUS_INFO", "PRESUSPEND");
    await bench.machine.ask({ uuid: "other" }, { name: "CTR", words: WORDS, reconnect: false });
    await bench.machine.ask({ uuid: "other" }, { name: "RESUME" });
    // another table of the log that hangs, too
    await bench.construct(9n);
  });

  it("wait for a log that is still being made", async () => {
    const { opened, open } = gate();
    bench.workshop.prepare = () => opened;
    const made = bench.construct(5n);
    const size = bench.ask(5n, "GET_REGION_SIZE");
    assert.ok(await pending(size));
    open();
    assert.equal((await made).error, 0);
    assert.deepEqual((await size).answer, { name: "GET_REGION_SIZE", size: 1024 });
  });

  describe("about regions", () => {
    const read = (): Promise<boolean> => bench.inSync(1n, 0n);

    it("do not turn to in sync between the two times that a write asks", async () => {
      const log = bench.workshop.last;
      assert.equal(await read(), false);
      log.synced.add(0);
      assert.equal(await read(), false);
      assert.deepEqual(bench.kinds(), ["wrong-answer-prevented"]);
      await bench.done(1n, { name: "SET_REGION_SYNC", region: 0n, inSync: false });
      log.synced.add(0);
      assert.equal(await read(), false);
      await bench.done(1n, { name: "SET_REGION_SYNC", region: 0n, inSync: true });
      assert.equal(await read(), true);
      log.synced.delete(0);
      assert.equal(await read(), false);
      log.synced.add(0);
      assert.equal(await read(), false);
      await bench.done(1n, "PRESUSPEND", "POSTSUSPEND", "RESUME");
      assert.equal(await read(), true);
    });

    it("turn when they have been recovered, not before", async () => {
      const log = bench.workshop.last;
      assert.equal(await read(), false);
      const { opened, open } = gate();
      log.gates.set("setRegionSync", opened);
      const set = bench.ask(1n, { name: "SET_REGION_SYNC", region: 0n, inSync: true });
      await settled();
      assert.equal(await read(), false);
      open();
      await set;
      assert.equal(await read(), true);
    });

    it("are left to the log when the receive thread answers from its regions, too", async () => {
      const log = bench.workshop.last;
      log.shared = {} as NativeRegions;
      assert.equal(await read(), false);
      log.synced.add(0);
      assert.equal(await read(), true);
    });

    it("are no error, whatever the log does", async () => {
      const log = bench.workshop.last;
      log.synced.add(0);
      log.inSync = () => {
        throw new Error("no");
      };
      assert.equal(await read(), false);
      delete (log as Partial<typeof log>).inSync;
      assert.equal(await read(), false);
      log.isClean = () => 2 as unknown as boolean;
      assert.deepEqual((await bench.ask(1n, { name: "IS_CLEAN", region: 3n })).answer, {
        name: "IS_CLEAN",
        yes: false,
      });
      assert.deepEqual(bench.kinds(), ["request-failed", "wrong-answer-prevented"]);
    });

    it("of which the mirror has none say no, or fail", async () => {
      for (const name of ["IN_SYNC", "IS_CLEAN"] as const) {
        for (const region of [8n, 2n ** 64n - 1n]) {
          assert.deepEqual((await bench.ask(1n, { name, region })).answer, { name, yes: false });
        }
      }
      for (const body of [
        { name: "MARK_REGION", regions: [1n, 8n] },
        { name: "CLEAR_REGION", regions: [2n ** 63n] },
        { name: "FLUSH", regions: [8n] },
        { name: "SET_REGION_SYNC", region: 8n, inSync: true },
        { name: "IS_REMOTE_RECOVERING", region: 8n },
      ] as RequestBody[]) {
        assert.equal((await bench.ask(1n, body)).error, -22);
      }
      assert.deepEqual(bench.workshop.last.calls, []);
      assert.deepEqual(new Set(bench.kinds()), new Set(["out-of-range"]));
      assert.equal(bench.troubles.length, 9);
    });

    it("let writes go after PRESUSPEND, so that the suspend can end", async () => {
      const log = bench.workshop.last;
      Object.assign(log.answers, { recovering: true, hint: 2 });
      const body: RequestBody = { name: "IS_REMOTE_RECOVERING", region: 4n };
      const answer = { name: "IS_REMOTE_RECOVERING", recovering: true, firstUnsynced: 2 };
      assert.deepEqual((await bench.ask(1n, body)).answer, answer);
      log.gates.set("presuspend", new Promise(() => undefined));
      void bench.ask(1n, "PRESUSPEND");
      await settled();
      assert.deepEqual((await bench.ask(1n, body)).answer, { ...answer, recovering: false });
    });

    it("let them wait when the log fails to say, but not after PRESUSPEND", async () => {
      bench.workshop.last.remoteRecovering = () => {
        throw new Error("no");
      };
      const body: RequestBody = { name: "IS_REMOTE_RECOVERING", region: 4n };
      const answer = { name: "IS_REMOTE_RECOVERING", recovering: true, firstUnsynced: 0 };
      assert.deepEqual((await bench.ask(1n, body)).answer, answer);
      await bench.done(1n, "PRESUSPEND");
      assert.deepEqual((await bench.ask(1n, body)).answer, { ...answer, recovering: false });
    });
  });

  describe("that would do harm are not given:", () => {
    const prevented = async (body: RequestBody, instead: object): Promise<void> => {
      assert.deepEqual((await bench.ask(1n, body)).answer, { name: body.name, ...instead });
      assert.deepEqual(bench.kinds(), ["wrong-answer-prevented"]);
    };

    for (const count of [9, -1, NaN, 1.5]) {
      it(`${count} of 8 regions in sync`, async () => {
        bench.workshop.last.answers.syncCount = count;
        await prevented({ name: "GET_SYNC_COUNT" }, { count: 0 });
      });
    }
    it("a region to recover that there is not", async () => {
      bench.workshop.last.answers.resyncWork = 8;
      await prevented({ name: "GET_RESYNC_WORK" }, { region: undefined });
    });
    it("regions that nobody recovers any more, more than there are", async () => {
      bench.workshop.last.answers.hint = 9;
      const instead = { recovering: false, firstUnsynced: 0 };
      await prevented({ name: "IS_REMOTE_RECOVERING", region: 1n }, instead);
    });
    it("a region size that has changed since", async () => {
      bench.workshop.last.regionSize = 0;
      assert.deepEqual((await bench.ask(1n, "GET_REGION_SIZE")).answer, { name: "GET_REGION_SIZE", size: 1024 });
    });
  });

  it("with an error have no data, so that the kernel keeps its room for one", async () => {
    const log = bench.workshop.last;
    log.status = () => {
      throw Object.assign(new Error("no"), { errno: -19 });
    };
    const { form, error } = await bench.ask(1n, "STATUS_INFO");
    assert.deepEqual({ form, error }, { form: "short", error: -19 });
    log.gates.set("flush", Promise.reject(Object.assign(new Error("no"), { errno: -11 })));
    assert.equal((await bench.ask(1n, { name: "FLUSH", regions: [] })).error, -5);
    assert.deepEqual(bench.kinds(), ["request-failed", "request-failed"]);
  });

  describe("about a log that is not known", () => {
    const ask = (name: RequestName, more: object = {}): ReturnType<Bench["ask"]> =>
      bench.machine.ask({ uuid: "lost", luid: 77n }, { name, ...more } as RequestBody);

    it("come of the log, made anew from the table that the kernel uses", async () => {
      bench.machine.devices = [
        device("x", { active: "userspace 4 lost2 fake 512 sync" }),
        device("y", { active: "userspace 5 lost integrated_flush fake 1024 nosync" }, 4096),
      ];
      const [one, other] = [ask("GET_SYNC_COUNT"), ask("IN_SYNC", { region: 0n })];
      assert.deepEqual((await one).answer, { name: "GET_SYNC_COUNT", count: 0 });
      assert.deepEqual((await other).answer, { name: "IN_SYNC", yes: false });
      const { context, calls } = bench.workshop.last;
      const { origin, resumed, args, length } = context;
      assert.deepEqual(
        { origin, resumed, length, args: [...args] },
        {
          ...{ origin: "rebuilt", resumed: true, length: 4096 },
          args: ["1024", "nosync"],
        },
      );
      assert.equal(bench.workshop.made.length, 2);
      assert.deepEqual(calls, []);
      assert.deepEqual(bench.steps.slice(-1), ["rebuilt lost 77"]);
      await bench.done(1n, "GET_SYNC_COUNT");
    });

    it("is that of a table which is not in use yet, when another of the log is", async () => {
      bench.machine.devices = [device("m", { active: "userspace 3 m fake 1024", inactive: "userspace 3 m fake 2048" })];
      await bench.ask(2n, "GET_SYNC_COUNT");
      const { origin, resumed, args } = bench.workshop.last.context;
      assert.deepEqual({ origin, resumed, args: [...args] }, { origin: "new", resumed: false, args: ["2048"] });
      assert.deepEqual(bench.workshop.made[0]!.calls, []);
    });

    it("let the end of it pass", async () => {
      for (const name of ["PRESUSPEND", "POSTSUSPEND", "DTR"] as const) assert.equal((await ask(name)).error, 0);
      assert.deepEqual(bench.troubles, []);
    });

    it("make the kernel construct it, where no data is asked for", async () => {
      for (const [name, more] of [
        ["MARK_REGION", { regions: [1n] }],
        ["FLUSH", { regions: [] }],
        ["SET_REGION_SYNC", { region: 1n, inSync: true }],
      ] as const) {
        assert.equal((await ask(name, more)).error, -3);
      }
      assert.deepEqual(bench.kinds(), ["unknown-log", "unknown-log", "unknown-log"]);
    });

    it("keep who wants data waiting, and not spinning", async () => {
      for (const [name, more] of [
        ["IN_SYNC", { region: 1n }],
        ["GET_SYNC_COUNT", {}],
        ["STATUS_INFO", {}],
      ] as const) {
        const from = performance.now();
        const { form, error } = await ask(name, more);
        assert.deepEqual({ form, error }, { form: "short", error: -11 });
        assert.ok(performance.now() - from >= 990);
      }
    });

    it("refuse a table that is being loaded", async () => {
      assert.equal((await ask("GET_REGION_SIZE")).error, -3);
    });

    it("are the same when device-mapper does not tell, or the log cannot be made", async () => {
      bench.machine.devices = { errno: -13, syscall: "open" };
      assert.equal((await ask("CLEAR_REGION", { regions: [1n] })).error, -3);
      bench.machine.devices = [device("y", { active: "userspace 3 lost fake 1024" })];
      bench.workshop.prepare = () => {
        throw new Error("no");
      };
      assert.equal((await ask("CLEAR_REGION", { regions: [1n] })).error, -3);
      assert.equal((await ask("IN_SYNC", { region: 1n })).error, -11);
      bench.workshop.prepare = () => undefined;
      assert.equal((await ask("CLEAR_REGION", { regions: [1n] })).error, 0);
    });
  });

  it("are none to what is no request", () => {
    bench.machine.deliver(Buffer.alloc(20));
    const request = { flavour: "ulog" as const, uuid: "m", luid: 1n, version: 3, seq: 1 };
    const short = encodeRequest({ ...request, body: IN_SYNC });
    short.writeUInt32LE(4, 36 + 156);
    bench.machine.deliver(short);
    assert.deepEqual(bench.kinds(), ["malformed", "malformed"]);
    assert.equal(bench.server!.statistics().dropped, 2);
  });

  it("end with the server, which says why it could not go on", async () => {
    const { server } = bench;
    bench.machine.trouble({ kind: "overrun" });
    bench.machine.trouble({ kind: "foreign-sender", pid: 3 });
    const closed = new Promise<void>((resolve) => server!.once("close", resolve));
    bench.machine.trouble({ kind: "failed", errno: -9 });
    await closed;
    assert.deepEqual(bench.kinds(), ["overrun", "foreign-sender", "failed"]);
    assert.throws(() => server!.statistics(), /closed/);
    await server!.close();
    await server![Symbol.asyncDispose]();
  });

  it("are counted, with the time they took", () => {
    const { stats } = bench.machine;
    Object.assign(stats, { received: 300, fast: 190, slow: 110, dropped: 3, overruns: 2 });
    const inSync = requestNumber("IN_SYNC");
    // 98 below 4 us, 1 below 1024, 1 beyond all bounds
    Object.assign(stats.latency[inSync]!, { 2: 98, 10: 1, 31: 1 });
    stats.longest[inSync] = 4e9;
    stats.latency[requestNumber("FLUSH")]![20] = 4;
    stats.longest[requestNumber("FLUSH")] = 700_000;
    const { requests, ...counts }: LogServerStatistics = bench.server!.statistics();
    const zero = { retries: 0, coalesced: 0 };
    assert.deepEqual(counts, { ...zero, received: 300, fast: 190, slow: 110, dropped: 3, overruns: 2 });
    const { count, latency } = requests.IN_SYNC;
    assert.deepEqual([count, latency.p50, latency.p99, latency.max], [100, 4, 1024, 4e9]);
    assert.equal(latency.buckets[2], 98);
    const flush = requests.FLUSH;
    assert.deepEqual([flush.count, flush.latency.p50, flush.latency.p99], [4, 700_000, 700_000]);
    const { p50, max } = requests.DTR.latency;
    assert.deepEqual([requests.DTR.count, p50, max], [0, 0, 0]);
    stats.latency[requestNumber("CTR")]![31] = 1;
    stats.longest[requestNumber("CTR")] = 5e9;
    assert.equal(bench.server!.statistics().requests.CTR.latency.p50, 5e9);
  });

  it("come with what the log reports", () => {
    bench.workshop.last.context.report({ kind: "region-failed", region: 3 });
    assert.deepEqual(bench.reports, [{ kind: "region-failed", region: 3, uuid: "m", luid: 1n }]);
  });
});
