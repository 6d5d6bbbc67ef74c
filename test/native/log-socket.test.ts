// The log socket and its receive thread, over the double's end of the connector.

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";

import { decodeRequest } from "../../lib/clog/protocol/decode";
import { decodeAnswer, encodeRequest, type ReadAnswer } from "../../lib/clog/protocol/kernel-side";
import type { Flavour, LogRequest, RequestBody } from "../../lib/clog/protocol/requests";
import type { NativeLogPacket, NativeLogSocket, NativeLogTrouble, NativeRegions } from "../../lib/native";

import { DOUBLE_PATH, loadDouble, until } from "./double";

const { addon, levers } = loadDouble();
const ALL = new Uint8Array(128).fill(0xff);
const COUNT = 1000;
const LUID = 0xff304d91d8afe800n;
let port = 100;

class Bench {
  readonly port = port++;
  readonly packets: NativeLogPacket[] = [];
  readonly troubles: NativeLogTrouble[] = [];
  readonly socket: NativeLogSocket;
  seq = 1;

  constructor() {
    let socket: NativeLogSocket | undefined;
    addon.openLogSocket(
      this.port,
      1 << 20,
      (failure, opened) => {
        assert.equal(failure, undefined);
        socket = opened;
      },
      (packets) => this.packets.push(...packets),
      (trouble) => this.troubles.push(trouble),
    );
    this.socket = socket!;
  }

  request(body: RequestBody, flavour: Flavour = "ulog", uuid = "LVM-abc"): LogRequest {
    return {
      flavour,
      uuid,
      luid: flavour === "ulog" ? LUID : 0n,
      version: flavour === "ulog" ? 3 : 0,
      seq: this.seq++,
      body,
    };
  }

  send(request: LogRequest): void {
    assert.equal(levers.logSend(this.port, encodeRequest(request), 0), 0);
  }

  /** The next answer. */
  async answer(request: LogRequest): Promise<ReadAnswer> {
    let datagram: Buffer = Buffer.alloc(0);
    await until("an answer", () => (datagram = levers.logReceive(this.port)).length > 0);
    return decodeAnswer(datagram, request);
  }

  async ask(body: RequestBody, flavour?: Flavour): Promise<unknown> {
    const request = this.request(body, flavour);
    this.send(request);
    const { error, answer } = await this.answer(request);
    assert.equal(error, 0);
    return answer;
  }

  /** The next request that JavaScript is given. */
  async given(): Promise<LogRequest> {
    await until("a request", () => this.packets.length > 0);
    return decodeRequest(this.packets.shift()!.packet);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.close(resolve);
    });
  }
}

function clean(durable = true): NativeRegions {
  const regions = addon.openRegions(COUNT, durable);
  regions.load(ALL, COUNT, false);
  flush(regions);
  return regions;
}

function flush(regions: NativeRegions): void {
  const page = new Uint8Array(4096);
  for (const index of regions.pending()) {
    regions.page(index, page);
    regions.written(index, page);
  }
}

describe("the log socket", () => {
  let bench: Bench;
  beforeEach(() => (bench = new Bench()));
  afterEach(async () => bench.close());

  const region = (name: "IN_SYNC" | "IS_CLEAN", number: number): RequestBody => ({ name, region: BigInt(number) });
  const regions = (name: "MARK_REGION" | "CLEAR_REGION" | "FLUSH", ...numbers: number[]): RequestBody => ({
    name,
    regions: numbers.map(BigInt),
  });

  it("gives JavaScript each request as it came, with the time of its arrival", async () => {
    const before = performance.now();
    const sent = bench.request(region("IN_SYNC", 5));
    bench.send(sent);
    await until("it", () => bench.packets.length === 1);
    const [{ packet, since }] = bench.packets as [NativeLogPacket];
    assert.deepEqual(decodeRequest(packet), sent);
    const second = bench.request({ name: "GET_SYNC_COUNT" });
    bench.send(second);
    await until("the other", () => bench.packets.length === 2);
    const later = bench.packets[1]!.since - since;
    assert.ok(later >= 0 && later <= performance.now() - before, String(later));
  });

  for (const flavour of ["ulog", "clog"] as const) {
    it(`answers what regions say by themselves, in the ${flavour} layout`, async () => {
      const log = clean();
      bench.socket.attach("LVM-abc", flavour === "ulog" ? LUID : 0n, flavour === "clog", log);
      log.setSync(7, false);
      flush(log);
      assert.deepEqual(await bench.ask(region("IN_SYNC", 6), flavour), { name: "IN_SYNC", yes: true });
      assert.deepEqual(await bench.ask(region("IN_SYNC", 7), flavour), { name: "IN_SYNC", yes: false });
      assert.deepEqual(await bench.ask(region("IS_CLEAN", 6), flavour), { name: "IS_CLEAN", yes: true });
      await bench.ask(regions("FLUSH"), flavour);
      await bench.ask(regions("MARK_REGION", 6), flavour);
      assert.deepEqual(await bench.ask(region("IS_CLEAN", 6), flavour), { name: "IS_CLEAN", yes: false });
      assert.deepEqual(log.pending(), [0]);
      await bench.ask(regions("CLEAR_REGION", 6), flavour);
      assert.equal(log.isClean(6), true);
      assert.equal(bench.packets.length, 0);
    });
  }

  it("never answers a flush that has something to write", async () => {
    const log = clean();
    bench.socket.attach("LVM-abc", LUID, false, log);
    await bench.ask(regions("MARK_REGION", 1, 2, 3));
    bench.send(bench.request(regions("FLUSH")));
    assert.equal((await bench.given()).body.name, "FLUSH");
    assert.equal(levers.logReceive(bench.port).length, 0);
    flush(log);
    await bench.ask(regions("FLUSH"));
    assert.equal(bench.packets.length, 0);
  });

  it("makes the marks that a flush carries before JavaScript sees it", async () => {
    const log = clean();
    bench.socket.attach("LVM-abc", LUID, false, log);
    bench.send(bench.request(regions("FLUSH", 9, 8)));
    assert.deepEqual((await bench.given()).body, { name: "FLUSH", regions: [9n, 8n] });
    assert.equal(log.counts().marked, 2);
    flush(log);
    await bench.ask(regions("FLUSH", 9, 8));
  });

  it("has nothing to write for a log without a device", async () => {
    const log = clean(false);
    bench.socket.attach("LVM-abc", LUID, false, log);
    await bench.ask(regions("MARK_REGION", 1));
    await bench.ask(regions("FLUSH", 2));
    assert.equal(log.counts().marked, 2);
    assert.equal(log.pages, 0);
  });

  it("leaves to JavaScript regions that are not there, other types, other logs, and what was detached", async () => {
    const log = clean();
    bench.socket.attach("LVM-abc", LUID, false, log);
    const others = [
      bench.request(region("IN_SYNC", COUNT)),
      bench.request(regions("MARK_REGION", 1, COUNT)),
      bench.request({ name: "GET_RESYNC_WORK" }),
      bench.request(region("IN_SYNC", 1), "ulog", "LVM-abd"),
      { ...bench.request(region("IN_SYNC", 1)), luid: LUID + 1n },
      bench.request(region("IN_SYNC", 1), "clog"),
    ];
    for (const request of others) {
      bench.send(request);
      assert.deepEqual(await bench.given(), request);
    }
    assert.equal(log.counts().marked, 0);
    bench.socket.detach("LVM-abc", LUID);
    bench.socket.detach("LVM-abc", LUID);
    const last = bench.request(region("IN_SYNC", 1));
    bench.send(last);
    assert.deepEqual(await bench.given(), last);
    log.close();
    assert.throws(() => log.counts(), /closed/);
  });

  it("answers while JavaScript is busy", async function () {
    this.timeout(20_000);
    const log = clean();
    bench.socket.attach("LVM-abc", LUID, false, log);
    const request = encodeRequest(bench.request(region("IN_SYNC", 1)));
    // another thread is the kernel: this one does nothing but compute
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       const { double } = require(workerData.addon);
       parentPort.once("message", (shared) => {
         const answered = new Int32Array(shared);
         for (let i = 0; i < 50; i++) {
           double.logSend(workerData.port, workerData.request, 0);
           while (double.logReceive(workerData.port).length === 0);
           Atomics.add(answered, 0, 1);
         }
       });
       parentPort.postMessage("ready");`,
      { eval: true, workerData: { addon: DOUBLE_PATH, port: bench.port, request } },
    );
    await new Promise((resolve) => worker.once("message", resolve));
    const answered = new Int32Array(new SharedArrayBuffer(4));
    worker.postMessage(answered.buffer);
    const end = Date.now() + 15_000;
    while (Atomics.load(answered, 0) < 50 && Date.now() < end);
    assert.equal(Atomics.load(answered, 0), 50);
    assert.equal(bench.packets.length, 0);
    await worker.terminate();
  });

  it("drops what the kernel has not sent, and what is no request, and says so", async () => {
    const request = encodeRequest(bench.request(region("IN_SYNC", 1)));
    levers.logSend(bench.port, request, 4711);
    await until("the first", () => bench.troubles.length === 1);
    levers.logSend(bench.port, request.subarray(0, 100), 0);
    levers.logSend(bench.port, Buffer.alloc(5000), 0);
    levers.logOverrun(bench.port);
    await until("all of them", () => bench.troubles.length === 4);
    assert.deepEqual(bench.troubles[0], { kind: "foreign-sender", pid: 4711 });
    assert.deepEqual(
      bench.troubles.map(({ kind }) => kind),
      ["foreign-sender", "malformed", "malformed", "overrun"],
    );
    const { received, dropped, overruns } = bench.socket.stats();
    assert.deepEqual([received, dropped, overruns, bench.packets.length], [0, 3, 1, 0]);
  });

  it("counts a flood of what is no request, and tells a few", async () => {
    // all of it before JavaScript hears of any, however fast it is
    const end = Date.now() + 15_000;
    for (let sent = 0; sent < 5000 && Date.now() < end;) {
      if (levers.logSend(bench.port, Buffer.from("nonsense"), 0) === 0) sent++;
    }
    while (bench.socket.stats().dropped < 5000 && Date.now() < end);
    assert.equal(bench.socket.stats().dropped, 5000);
    await until("the first", () => bench.troubles.length > 0);
    assert.ok(bench.troubles.length <= 32, String(bench.troubles.length));
    assert.deepEqual(await ask(), { name: "IN_SYNC", yes: true });

    async function ask(): Promise<unknown> {
      bench.socket.attach("LVM-abc", LUID, false, clean());
      return bench.ask(region("IN_SYNC", 1));
    }
  });

  it("says so when receiving has ended for good, and can then be closed", async () => {
    levers.logFail(bench.port, 5);
    await until("it", () => bench.troubles.length === 1);
    assert.deepEqual(bench.troubles, [{ kind: "failed", errno: -5 }]);
    await until("the port is free", () => !levers.logOpen(bench.port));
    assert.equal(bench.socket.reply(Buffer.alloc(1), 1, 0), -9);
  });

  it("says that receiving has ended however much else there is to say", async () => {
    for (let i = 0; i < 40; i++) assert.equal(levers.logSend(bench.port, Buffer.from("nonsense"), 0), 0);
    assert.equal(levers.logFail(bench.port, 5), 0);
    // the thread has gone through all of it before JavaScript hears of any
    const end = Date.now() + 5000;
    while (levers.logOpen(bench.port) && Date.now() < end);
    await until("the end", () => bench.troubles.some(({ kind }) => kind === "failed"));
    assert.ok(bench.troubles.length < 40, String(bench.troubles.length));
    assert.deepEqual(bench.troubles.at(-1), { kind: "failed", errno: -5 });
  });

  it("counts answers by their type and their time", async () => {
    bench.socket.attach("LVM-abc", LUID, false, clean());
    for (let i = 0; i < 10; i++) await bench.ask(region("IN_SYNC", i));
    const slow = bench.request({ name: "GET_SYNC_COUNT" });
    bench.send(slow);
    await until("it", () => bench.packets.length === 1);
    assert.equal(bench.socket.reply(Buffer.alloc(10), 14, bench.packets[0]!.since - 5000), 0);
    const { received, fast, slow: handed, replies, latency, longest } = bench.socket.stats();
    assert.deepEqual([received, fast, handed, replies], [11, 10, 1, 11]);
    const sum = (type: number): number => latency[type]!.reduce((total, count) => total + count, 0);
    assert.deepEqual([latency.length, latency[8]!.length, sum(8), sum(14), sum(9)], [18, 32, 10, 1, 0]);
    // 5 s are between 2^22 and 2^23 microseconds
    assert.equal(latency[14]![23], 1);
    assert.ok(longest[14]! >= 5_000_000 && longest[8]! < 5_000_000);
  });

  it("refuses a port that is taken, and has it free when it is closed", async () => {
    const failures: unknown[] = [];
    const again = (): void => {
      addon.openLogSocket(
        bench.port,
        1 << 20,
        (failure, socket) => {
          failures.push(failure);
          socket?.close();
        },
        () => undefined,
        () => undefined,
      );
    };
    again();
    assert.deepEqual(failures, [{ errno: -98, syscall: "bind" }]);
    await bench.close();
    assert.equal(levers.logOpen(bench.port), false);
    again();
    assert.equal(failures[1], undefined);
    await until("closed", () => !levers.logOpen(bench.port));
    bench = new Bench();
  });

  it("takes regions of openRegions() and nothing else", () => {
    assert.throws(() => {
      bench.socket.attach("u", 1n, false, {} as never);
    }, TypeError);
    assert.throws(() => {
      bench.socket.attach("u", 1 as never, false, clean());
    }, TypeError);
    assert.throws(() => addon.openRegions(0, true), RangeError);
    assert.throws(() => addon.openRegions(2 ** 32, true), RangeError);
    assert.throws(() => addon.openRegions(1, true, "/proc/no/such"), { errno: -2, syscall: "open" });
  });
});
