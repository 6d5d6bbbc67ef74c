// The kernel's double does what drivers/md/dm-log-userspace-{base,transfer}.c do.
import assert from "node:assert/strict";
import os from "node:os";

import { decodeRequest } from "../../../lib/clog/protocol/decode";
import { encodeAck, encodeAnswer, encodeError } from "../../../lib/clog/protocol/encode";
import { type Answer, type LogRequest, requestNumber } from "../../../lib/clog/protocol/requests";
import type { NativeLogSocket, NativeLogTrouble, NativeRegions } from "../../../lib/native";

import type { KernelError } from "./kernel-double";
import { type KernelDouble as Kernel, KernelDouble, type KernelOptions } from "./kernel-double";

const { EAGAIN, EIO, EINVAL, ENOSPC, ESRCH, EWOULDBLOCK } = os.constants.errno;
const TABLE = { uuid: "LVM-one", length: 64 * 1024, type: "clustered-core", args: ["1024"] } as const;

type Reply = (request: LogRequest) => Buffer | undefined;

/** A server of two lines, whose answers a test may put others in place of. */
class Server {
  reply: Reply = () => undefined;
  socket!: NativeLogSocket;
  readonly troubles: NativeLogTrouble[] = [];
  readonly thrown: Error[] = [];

  static async listen(kernel: Kernel, port = 1): Promise<Server> {
    const server = new Server();
    await new Promise<void>((resolve, reject) => {
      kernel.open(
        port,
        4096,
        (failure, socket) => {
          if (!socket) {
            reject(Object.assign(new Error("no socket"), failure));
            return;
          }
          server.socket = socket;
          resolve();
        },
        (requests) => {
          for (const { packet, since } of requests) server.#answer(decodeRequest(packet), since);
        },
        (trouble) => server.troubles.push(trouble),
      );
    });
    return server;
  }

  #answer(request: LogRequest, since: number): void {
    const datagram = this.reply(request) ?? encodeAnswer(request, honest(request));
    if (datagram.length === 0) return;
    try {
      this.socket.reply(datagram, requestNumber(request.body.name), since);
    } catch (error) {
      this.thrown.push(error as Error);
    }
  }
}

const SILENCE = Buffer.alloc(0);

function honest({ body }: LogRequest): Answer {
  switch (body.name) {
    case "CTR":
      return { name: body.name, device: "/dev/log" };
    case "GET_REGION_SIZE":
      return { name: body.name, size: 1024 };
    case "IS_CLEAN":
    case "IN_SYNC":
      return { name: body.name, yes: body.region % 2n === 1n };
    case "GET_RESYNC_WORK":
      return { name: body.name, region: 6 };
    case "GET_SYNC_COUNT":
      return { name: body.name, count: 32 };
    case "STATUS_INFO":
    case "STATUS_TABLE":
      return { name: body.name, text: "1 clustered-core" };
    case "IS_REMOTE_RECOVERING":
      return { name: body.name, recovering: true, firstUnsynced: 4 };
    default:
      return { name: body.name };
  }
}

/** Answers of one kind of request are these. */
function only(name: string, reply: Reply): Reply {
  return (request) => (request.body.name === name ? reply(request) : undefined);
}

function raw(request: LogRequest, change: (datagram: Buffer) => void): Buffer {
  const datagram = encodeAnswer(request, honest(request));
  change(datagram);
  return datagram;
}

describe("the double of the kernel's cluster log", () => {
  const kernels: KernelDouble[] = [];
  async function start(options?: KernelOptions): Promise<[KernelDouble, Server]> {
    const kernel = new KernelDouble(options);
    kernels.push(kernel);
    return [kernel, await Server.listen(kernel)];
  }
  afterEach(() => {
    for (const kernel of kernels.splice(0)) kernel.close();
  });

  it("makes a log of a table, and asks every request of mainline", async () => {
    const [kernel, server] = await start();
    const log = await kernel.ctr(TABLE);
    assert.deepEqual(
      kernel.exchanges.map(({ request }) => request.body),
      [{ name: "CTR", words: ["65536", "clustered-core", "1024"], reconnect: false }, { name: "GET_REGION_SIZE" }],
    );
    assert.equal(kernel.exchanges[0]!.request.version, 3);
    assert.deepEqual([log.regionSize, log.regionCount, log.device], [1024, 64, "/dev/log"]);
    assert.equal(await log.resume(), 0);
    assert.deepEqual([await log.inSync(2), await log.inSync(3), await log.inSync(3, false)], [0, 1, -EWOULDBLOCK]);
    assert.deepEqual([await log.isClean(2), await log.isClean(3)], [0, 1]);
    assert.deepEqual(await log.getResyncWork(), { result: 1, region: 6 });
    await log.setRegionSync(6, true);
    assert.equal(await log.getSyncCount(), 32);
    assert.equal(await log.statusInfo(), "1 clustered-core");
    assert.equal(await log.statusTable(), "userspace 3 LVM-one clustered-core 1024 ");
    assert.equal(await log.presuspend(), 0);
    assert.equal(await log.postsuspend(), 0);
    await log.dtr();
    assert.equal(new Set(kernel.exchanges.map(({ request }) => request.luid)).size, 1);
    assert.equal(server.socket.stats().slow, kernel.exchanges.length);
  });

  it("makes a log of the older layout, and asks its every request", async () => {
    const [kernel] = await start();
    const log = await kernel.ctr({
      ...TABLE,
      flavour: "clog",
      type: "clustered-disk",
      args: ["/dev/x", "1024", "nosync"],
    });
    assert.deepEqual(kernel.exchanges[0]!.request, {
      flavour: "clog",
      uuid: "LVM-one",
      luid: 0n,
      version: 0,
      seq: 0,
      body: { name: "CTR", words: ["/dev/x", "1024", "LVM-one", "nosync", "65536"], reconnect: false },
    });
    assert.deepEqual([log.regionSize, log.regionCount, log.device], [1024, 64, "/dev/x"]);
    assert.deepEqual([await log.inSync(2), await log.inSync(3)], [0, 1]);
    assert.deepEqual(await log.getResyncWork(), { result: 1, region: 6 });
    assert.equal(await log.statusTable(), "1 clustered-core ");
    log.mark(1, 2);
    log.clear(7);
    assert.equal(await log.flush(), 0);
    assert.deepEqual(
      kernel.exchanges.slice(-4).map(({ request }) => request.body),
      [
        { name: "CLEAR_REGION", regions: [7n] },
        { name: "MARK_REGION", regions: [2n] },
        { name: "MARK_REGION", regions: [1n] },
        { name: "FLUSH", regions: [] },
      ],
    );
  });

  it("flushes clears, then marks in groups of 32, newest first, and then FLUSHes", async () => {
    const [kernel] = await start();
    const log = await kernel.ctr(TABLE);
    assert.equal(await log.flush(), 0);
    log.clear(1, 2);
    log.mark(...Array.from({ length: 33 }, (_, index) => index));
    assert.equal(await log.flush(), 0);
    const asked = kernel.exchanges.slice(2).map(({ request: { body } }) => ("regions" in body ? body.regions : []));
    assert.deepEqual(kernel.asked().slice(2), ["CLEAR_REGION", "MARK_REGION", "MARK_REGION", "FLUSH"]);
    assert.deepEqual(asked[0], [2n, 1n]);
    assert.deepEqual([asked[1]!.length, asked[1]![0], asked[2]], [32, 32n, [0n]]);
  });

  it("asks one by one when a group fails", async () => {
    const [kernel, server] = await start();
    const log = await kernel.ctr(TABLE);
    server.reply = (request) =>
      "regions" in request.body && request.body.regions.length > 1 ? encodeError(request, -EIO) : undefined;
    log.mark(1, 2, 3);
    assert.equal(await log.flush(), 0);
    assert.deepEqual(
      kernel.exchanges.slice(2).map(({ request: { body } }) => ("regions" in body ? body.regions : [])),
      [[3n, 2n, 1n], [1n], [2n], [3n], []],
    );
    server.reply = only("FLUSH", (request) => encodeError(request, -EIO));
    log.mark(1);
    assert.equal(await log.flush(), -EIO);
    assert.equal(log.events, 1);
  });

  it("puts marks into FLUSHes, and flushes clears alone later, with integrated_flush", async () => {
    const [kernel] = await start({ times: { flush: 60 } });
    const log = await kernel.ctr({ ...TABLE, integratedFlush: true });
    log.mark(1, 2);
    log.clear(3);
    assert.equal(await log.flush(), 0);
    assert.deepEqual(kernel.exchanges.at(-1)!.request.body, { name: "FLUSH", regions: [2n, 1n] });
    log.clear(4);
    assert.equal(await log.flush(), 0);
    assert.equal(kernel.asked().at(-1), "CLEAR_REGION");
    await kernel.sleep(200);
    assert.deepEqual(kernel.exchanges.at(-1)!.request.body, { name: "FLUSH", regions: [] });
    log.clear(5);
    await log.flush();
    await log.postsuspend();
    assert.deepEqual(kernel.asked().slice(-3), ["CLEAR_REGION", "FLUSH", "POSTSUSPEND"]);
  });

  it("asks for no more recovery once everything was in sync, until RESUME", async () => {
    const [kernel, server] = await start();
    const log = await kernel.ctr(TABLE);
    assert.deepEqual([await log.isRemoteRecovering(5), log.inSyncHint, await log.isRemoteRecovering(3)], [1, 4, 0]);
    server.reply = only("GET_SYNC_COUNT", (request) => encodeAnswer(request, { name: "GET_SYNC_COUNT", count: 64 }));
    assert.equal(await log.getSyncCount(), 64);
    const before = kernel.exchanges.length;
    assert.deepEqual(await log.getResyncWork(), { result: 0, region: 0 });
    assert.equal(await log.isRemoteRecovering(63), 0);
    assert.equal(kernel.exchanges.length, before);
    await log.resume();
    assert.equal((await log.getResyncWork()).result, 1);
  });

  it("asks again under a new number when an answer takes too long, and ignores the one to the old number", async () => {
    const [kernel, server] = await start({ times: { retry: 5 } });
    const log = await kernel.ctr(TABLE);
    let first: LogRequest | undefined;
    server.reply = only("IN_SYNC", (request) => {
      if (first) return undefined;
      first = request;
      return SILENCE;
    });
    assert.equal(await log.inSync(3), 1);
    const [lost, asked] = kernel.exchanges.slice(-2);
    assert.equal(asked!.request.seq, lost!.request.seq + 1);
    server.socket.reply(encodeAnswer(first!, honest(first!)), 8, 0);
    assert.equal(lost!.stale, 1);
    assert.match(kernel.messages.at(-1)!, /timed out: \[IN_SYNC/);
  });

  it("asks again at once after EAGAIN in the short form, with its room for the answer", async () => {
    const [kernel, server] = await start();
    const log = await kernel.ctr(TABLE);
    let count = 0;
    server.reply = only("IN_SYNC", (request) => (count++ < 3 ? encodeAck(request, EAGAIN) : undefined));
    assert.equal(await log.inSync(3), 1);
    assert.equal(count, 4);
  });

  it("loops through CTR, with its NUL, and RESUME as long as nobody listens", async () => {
    const [kernel, server] = await start({ times: { reconnect: 5 } });
    const log = await kernel.ctr(TABLE);
    server.socket.close();
    const answer = log.inSync(3);
    await kernel.sleep(200);
    await Server.listen(kernel);
    assert.equal(await answer, 1);
    const bodies = kernel.exchanges.map(({ request }) => request.body);
    assert.deepEqual(bodies.at(-3), { name: "CTR", words: ["65536", "clustered-core", "1024"], reconnect: true });
    assert.deepEqual([bodies.at(-2)!.name, bodies.at(-1)!.name], ["RESUME", "IN_SYNC"]);
    assert.equal(kernel.exchanges.filter(({ reply }) => reply).length, 5);
  });

  it("loses requests to a full receive buffer, and takes that for having no server", async () => {
    const [kernel, server] = await start({ times: { reconnect: 1 } });
    const log = await kernel.ctr(TABLE);
    kernel.overrun(1);
    assert.equal(await log.inSync(3), 1);
    assert.deepEqual(kernel.asked().slice(2), ["IN_SYNC", "CTR", "RESUME", "IN_SYNC"]);
    assert.deepEqual(server.troubles, [{ kind: "overrun" }]);
  });

  it("fails a table's load by CTR's or GET_REGION_SIZE's error, or its device", async () => {
    const [kernel, server] = await start({ getDevice: () => -EINVAL });
    server.reply = only("CTR", (request) => encodeError(request, -EIO));
    await assert.rejects(kernel.ctr(TABLE), (error: KernelError) => error.errno === -EIO);
    server.reply = only("GET_REGION_SIZE", (request) => encodeAck(request, EIO));
    await assert.rejects(kernel.ctr(TABLE), (error: KernelError) => error.errno === -EIO);
    server.reply = () => undefined;
    await assert.rejects(kernel.ctr(TABLE), (error: KernelError) => error.errno === -EINVAL);
  });

  it("goes on with a log that the server has never heard of", async () => {
    const [kernel, server] = await start({ times: { reconnect: 1 } });
    const log = kernel.using(TABLE, 1024);
    assert.deepEqual([log.regionCount, await log.inSync(3)], [64, 1]);
    server.reply = only("FLUSH", (request) =>
      kernel.asked().includes("RESUME") ? undefined : encodeError(request, -ESRCH),
    );
    log.mark(1);
    assert.equal(await log.flush(), 0);
    assert.deepEqual(kernel.asked(), ["IN_SYNC", "MARK_REGION", "FLUSH", "CTR", "RESUME", "FLUSH"]);
  });

  it("fails with ENOSPC when a text is longer than its room", async () => {
    const [kernel] = await start();
    const log = await kernel.ctr(TABLE);
    assert.equal(await log.statusInfo(10), "userspace 1 COM_FAILURE");
    assert.match(kernel.messages.at(-1)!, /Insufficient space to receive package \[STATUS_INFO\] \(17 vs 10\)/);
  });

  it("lets one socket have a port, and hears nothing without CAP_SYS_ADMIN", async () => {
    const [kernel] = await start({ times: { retry: 5 } });
    await assert.rejects(Server.listen(kernel), { syscall: "bind" });
    const log = await kernel.ctr(TABLE);
    kernel.privileged = false;
    const answer = log.inSync(3);
    await kernel.sleep(200);
    assert.ok(kernel.exchanges.length > 3);
    kernel.privileged = true;
    assert.equal(await answer, 1);
  });

  it("has the receive thread answer from attached regions", async () => {
    const [kernel, server] = await start();
    const log = await kernel.ctr({ ...TABLE, integratedFlush: true });
    const marked = new Set<number>();
    const pending: number[] = [];
    const regions = {
      count: 10,
      inSync: (region: number) => region === 9,
      isClean: (region: number) => !marked.has(region),
      mark: (list: readonly number[]) => {
        for (const region of list) marked.add(region);
      },
      clear: (list: readonly number[]) => {
        for (const region of list) marked.delete(region);
      },
      pending: () => pending,
    } as unknown as NativeRegions;
    server.socket.attach(log.uuid, log.luid, false, regions);
    assert.deepEqual([await log.inSync(9), await log.inSync(3)], [1, 0]);
    log.mark(1);
    await log.flush();
    assert.deepEqual([await log.isClean(1), kernel.exchanges.at(-2)!.by], [0, "thread"]);
    pending.push(0);
    log.mark(2);
    await log.flush();
    assert.deepEqual([kernel.exchanges.at(-1)!.by, [...marked]], ["server", [1, 2]]);
    assert.deepEqual([await log.inSync(11), kernel.exchanges.at(-1)!.by], [1, "server"]);
    server.socket.detach(log.uuid, log.luid);
    assert.equal(await log.inSync(3), 1);
    assert.equal(kernel.exchanges.at(-1)!.by, "server");
    assert.deepEqual([server.socket.stats().fast, server.socket.stats().slow], [4, 5]);
  });

  describe("refuses", () => {
    const wrongs: [string, string, Reply, RegExp][] = [
      ["a data size that is not the data's", "IN_SYNC", (r) => raw(r, (d) => d.writeUInt32LE(9, 36 + 156)), /9 bytes/],
      [
        "a flag that is neither 0 nor 1",
        "IN_SYNC",
        (r) => raw(r, (d) => d.writeUInt32LE(2, 196)),
        /2 instead of 0 or 1/,
      ],
      ["an error of IN_SYNC", "IN_SYNC", (r) => encodeAck(r, EIO), /takes for "no"/],
      ["no data at all", "GET_SYNC_COUNT", short, /0 bytes/],
      ["EAGAIN in the long form", "GET_SYNC_COUNT", (r) => full(r, -EAGAIN), /without room/],
      ["ESRCH to one that wants data", "GET_RESYNC_WORK", (r) => encodeAck(r, ESRCH), /without room/],
      ["a positive error", "RESUME", (r) => full(r, EIO), /positive/],
      ["a text without its NUL", "STATUS_INFO", (r) => full(r, 0, Buffer.from("text")), /NUL/],
      ["half an answer", "RESUME", (r) => encodeAnswer(r, { name: "RESUME" }).fill(20, 32, 33), /cut short/],
    ];
    for (const [title, name, reply, message] of wrongs) {
      it(title, async () => {
        const [kernel, server] = await start({ times: { retry: 50 } });
        const log = await kernel.ctr(TABLE);
        server.reply = only(name, reply);
        const asked = {
          IN_SYNC: () => log.inSync(1),
          GET_SYNC_COUNT: () => log.getSyncCount(),
          GET_RESYNC_WORK: () => log.getResyncWork(),
          RESUME: () => log.resume(),
          STATUS_INFO: () => log.statusInfo(),
        }[name]!();
        await assert.rejects(asked, message);
        assert.match(server.thrown[0]!.message, message);
        assert.throws(() => {
          kernel.check();
        }, message);
        kernel.wrong.length = 0;
      });
    }

    it("a device in the answer to a CTR that reconnects, which a kernel asks for ever", async () => {
      for (const strict of [true, false]) {
        const [kernel, server] = await start({ strict, times: { reconnect: 1 } });
        const log = await kernel.ctr(TABLE);
        server.reply = only("CTR", (request) => full(request, 0, Buffer.from("/dev/log\0")));
        kernel.overrun(1);
        const answer = log.inSync(1);
        if (strict) await assert.rejects(answer, /I\/O hangs/);
        await kernel.sleep(200);
        kernel.wrong.length = 0;
        if (strict) continue;
        assert.ok(kernel.asked().filter((name) => name === "CTR").length > 3);
        assert.match(kernel.messages.at(-1)!, /Insufficient space to receive package \[CTR\] \(9 vs 0\)/);
      }
    });

    it("nothing when not strict, and then has what a kernel has: ENOSPC, or what was on its stack", async () => {
      const [kernel, server] = await start({ strict: false });
      const log = await kernel.ctr(TABLE);
      let again = false;
      server.reply = only("GET_RESYNC_WORK", (request) =>
        again ? undefined : ((again = true), full(request, -EAGAIN)),
      );
      assert.equal((await log.getResyncWork()).result, -ENOSPC);
      server.reply = only("IN_SYNC", (request) => full(request, 0));
      assert.ok(![0, 1].includes(await log.inSync(1)));
    });
  });
});

// What encodeAck() refuses to write.
function short(request: LogRequest): Buffer {
  return encodeAck({ ...request, body: { name: "RESUME" } }, 0);
}

function full(request: LogRequest, error: number, data = Buffer.alloc(0)): Buffer {
  const bare = encodeAnswer({ ...request, body: { name: "RESUME" } }, { name: "RESUME" });
  bare.writeInt32LE(error, 36 + 144);
  bare.writeUInt32LE(data.length, 36 + 156);
  bare.writeUInt32LE(bare.length + data.length, 0);
  bare.writeUInt16LE(160 + data.length, 32);
  return Buffer.concat([bare, data]);
}
