import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import path from "node:path";

import { serveNbd } from "../../../lib/lab/qemu/disks/nbd-server";
import type { Store } from "../../../lib/lab/qemu/disks/nbd-server";
import { CMD, FUA, infoData, NbdClient, OPT, optionBytes, requestBytes, SECTOR, sectors } from "./disks-nbd-client";

const SIZE = 64 * 1024 * 1024;
const MAX = 32 * 1024 * 1024;

const [EIO, EINVAL, ENOSPC] = [5, 22, 28];
const [ACK, SERVER, INFO] = [1, 2, 3];
const [UNSUP, INVALID, UNKNOWN] = [0x80000001, 0x80000003, 0x80000006];

/** A store whose answers wait until the test lets them go. */
class Slow implements Store {
  readonly name = "disk1";
  readonly size = SIZE;
  readonly block = { minimum: 512, preferred: 4096 };
  readonly calls: string[] = [];
  held = false;
  failure: Error | undefined;
  readonly #waiting: (() => void)[] = [];

  async read(offset: number, length: number): Promise<Buffer> {
    await this.#call(`read ${offset}+${length}`);
    return Buffer.alloc(length, 7);
  }

  async write(offset: number, pieces: readonly Buffer[], durable: boolean): Promise<void> {
    const bytes = Buffer.concat(pieces);
    await this.#call(`write ${offset}+${bytes.length}${durable ? " durable" : ""} ${bytes.at(0) ?? "empty"}`);
  }

  async flush(): Promise<void> {
    await this.#call("flush");
  }

  release(): void {
    this.held = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  async #call(what: string): Promise<void> {
    this.calls.push(what);
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.failure !== undefined) throw this.failure;
  }
}

async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("lab: the NBD server", () => {
  let directory: string;
  let socket: string;
  let store: Slow;
  let server: net.Server;
  let clients: NbdClient[];
  let served: Promise<void>[];

  const connect = (): NbdClient => {
    const client = new NbdClient(socket);
    clients.push(client);
    return client;
  };
  const go = async (): Promise<NbdClient> => {
    const client = await NbdClient.go(socket);
    clients.push(client);
    return client;
  };

  beforeEach(async () => {
    directory = mkdtempSync("/tmp/clt-");
    socket = path.join(directory, "s");
    store = new Slow();
    clients = [];
    served = [];
    server = net.createServer({ allowHalfOpen: true }, (stream) => served.push(serveNbd(stream, store)));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
  });

  afterEach(async () => {
    store.release();
    for (const client of clients) client.socket.destroy();
    await Promise.all(served);
    await new Promise((resolve) => server.close(resolve));
    assert.equal(existsSync(socket), false);
    rmSync(directory, { recursive: true });
  });

  describe("handshake", () => {
    it("greets in the fixed newstyle", async () => {
      const greeting = await connect().greet();
      assert.equal(greeting.toString("latin1", 0, 16), "NBDMAGICIHAVEOPT");
      assert.equal(greeting.readUInt16BE(16), 3);
    });

    it("tells size, flags and block sizes by INFO, and goes on by GO", async () => {
      const client = connect();
      await client.greet();
      for (const option of [OPT.INFO, OPT.GO]) {
        const replies = await client.option(option, infoData("disk1"));
        assert.deepEqual(
          replies.map(({ type, data }) => [type, data.toString("hex")]),
          [
            [INFO, "00000000000004000000000d"],
            [INFO, "0003000002000000100002000000"],
            [ACK, ""],
          ],
        );
      }
      client.transmission();
      assert.equal((await client.request(CMD.FLUSH, 0, 0)).error, 0);
    });

    for (const [flags, length] of [
      [3, 10],
      [1, 134],
    ] as const) {
      it(`takes EXPORT_NAME from a client with flags ${flags}`, async () => {
        const client = connect();
        await client.greet(flags);
        client.socket.write(optionBytes(OPT.EXPORT_NAME, Buffer.from("disk1")));
        const answer = await client.bytes(length);
        assert.equal(answer.toString("hex"), "0000000004000000000d" + "0".repeat(2 * (length - 10)));
        client.transmission();
        assert.equal((await client.request(CMD.READ, 0, SECTOR)).data[0], 7);
      });
    }

    it("lists its export", async () => {
      const client = connect();
      await client.greet();
      assert.deepEqual(await client.option(OPT.LIST), [
        { type: SERVER, data: Buffer.from("\0\0\0\u0005disk1") },
        { type: ACK, data: Buffer.alloc(0) },
      ]);
    });

    it("says no and goes on", async () => {
      const client = connect();
      await client.greet();
      for (const [option, data, type] of [
        [OPT.LIST, Buffer.from("x"), INVALID],
        [OPT.STRUCTURED_REPLY, Buffer.alloc(0), UNSUP],
        [OPT.STARTTLS, Buffer.alloc(0), UNSUP],
        [4711, Buffer.from("what"), UNSUP],
        [OPT.GO, infoData("disk2"), UNKNOWN],
        [OPT.INFO, infoData("disk2"), UNKNOWN],
        [OPT.GO, Buffer.alloc(5), INVALID],
        [OPT.GO, Buffer.from("ffffffff0000", "hex"), INVALID],
        [OPT.GO, Buffer.from("000000000001", "hex"), INVALID],
      ] as const) {
        const replies = await client.option(option, data);
        assert.deepEqual(
          replies.map((reply) => reply.type),
          [type],
        );
      }
      assert.equal((await client.option(OPT.GO, infoData(""))).at(-1)?.type, ACK);
    });

    it("ends with ABORT", async () => {
      const client = connect();
      await client.greet();
      assert.equal((await client.option(OPT.ABORT))[0]?.type, ACK);
      await client.closed;
    });

    it("hangs up on what it cannot understand, and goes on with others", async () => {
      const huge = optionBytes(OPT.INFO, Buffer.alloc(0));
      huge.writeUInt32BE(0xffffffff, 12);
      for (const [flags, bytes] of [
        [0xff, Buffer.alloc(0)],
        [3, Buffer.alloc(16)],
        [3, huge],
        [3, optionBytes(OPT.EXPORT_NAME, Buffer.from("disk2"))],
      ] as const) {
        const client = connect();
        await client.greet(flags);
        client.socket.write(bytes);
        await client.closed;
      }
      await (await go()).flush();
    });
  });

  describe("requests", () => {
    it("reach the store, in their order, and are answered", async () => {
      const client = await go();
      await client.fill(8, 2, 3);
      await client.fill(1, 1, 4, FUA);
      await client.flush();
      assert.deepEqual(await client.look(5, 2), [7, 7]);
      assert.deepEqual(store.calls, ["write 4096+1024 3", "write 512+512 durable 4", "flush", "read 2560+1024"]);
    });

    it("may be as large as the protocol says", async () => {
      const client = await go();
      await client.fill(0, MAX / SECTOR, 9);
      const { data } = await client.request(CMD.READ, SIZE - MAX, MAX);
      assert.ok(data.equals(Buffer.alloc(MAX, 7)));
      assert.equal(store.calls[0], `write 0+${MAX} 9`);
    });

    it("are refused when they make no sense, and the connection goes on", async () => {
      const client = await go();
      for (const [command, offset, length, flags, error] of [
        [CMD.READ, 0, 0, 0, EINVAL],
        [CMD.READ, 0, 511, 0, EINVAL],
        [CMD.READ, 1, 512, 0, EINVAL],
        [CMD.READ, SIZE, 512, 0, EINVAL],
        [CMD.READ, SIZE - 512, 1024, 0, EINVAL],
        [CMD.READ, 0, MAX + 512, 0, EINVAL],
        [CMD.READ, 0, 0xfffffe00, 0, EINVAL],
        [CMD.READ, 0xfffffffffffffe00n, 512, 0, EINVAL],
        [CMD.READ, 0, 512, 2, EINVAL],
        [CMD.WRITE, SIZE, 512, 0, ENOSPC],
        [CMD.WRITE, SIZE - 512, 1024, 0, ENOSPC],
        [CMD.WRITE, 0xfffffffffffffe00n, 512, 0, ENOSPC],
        [CMD.WRITE, 5, 512, 0, EINVAL],
        [CMD.WRITE, 0, 100, 0, EINVAL],
        [CMD.WRITE, 0, 512, 0x8000, EINVAL],
        [CMD.TRIM, 0, 512, 0, EINVAL],
        [CMD.WRITE_ZEROES, 0, 512, 0, EINVAL],
        [4711, 0, 0, 0, EINVAL],
      ] as const) {
        const payload = command === CMD.WRITE ? Buffer.alloc(length) : undefined;
        const reply = await client.request(command, offset, length, payload, flags);
        assert.equal(reply.error, error, `${command} ${offset}+${length}`);
      }
      assert.deepEqual(store.calls, []);
      await client.flush();
    });

    it("fail as the store does", async () => {
      const client = await go();
      store.failure = new Error("broken");
      assert.equal((await client.request(CMD.READ, 0, SECTOR)).error, EIO);
      assert.equal((await client.request(CMD.FLUSH, 0, 0)).error, EIO);
      store.failure = Object.assign(new Error("full"), { code: "ENOSPC" });
      assert.equal((await client.request(CMD.WRITE, 0, SECTOR, sectors(1, 1))).error, ENOSPC);
    });

    it("are found however the stream is cut", async () => {
      const client = await go();
      const bytes = Buffer.concat([
        requestBytes(CMD.WRITE, 100n, 512n, 1024),
        sectors(2, 5),
        requestBytes(CMD.FLUSH, 101n, 0n, 0),
      ]);
      for (const byte of bytes) {
        client.socket.write(Buffer.from([byte]));
        if (byte !== 5) await new Promise((resolve) => setImmediate(resolve));
      }
      await client.flush();
      assert.deepEqual(store.calls, ["write 512+1024 5", "flush", "flush"]);
    });

    it("do not wait for each other", async () => {
      const client = await go();
      store.held = true;
      const first = client.look(0, 1);
      await quiet();
      store.held = false;
      assert.deepEqual(await client.look(1, 1), [7]);
      store.release();
      assert.deepEqual(await first, [7]);
    });

    it("wait when too much is under way already", async () => {
      const client = await go();
      store.held = true;
      const length = 1024 * 1024;
      const all = Array.from({ length: 64 }, () => client.request(CMD.READ, 0, length));
      await quiet();
      assert.ok(store.calls.length > 1 && store.calls.length <= 8, `${store.calls.length} reads at once`);
      store.release();
      for (const { error } of await Promise.all(all)) assert.equal(error, 0);
    });

    it("wait when the client does not take its replies", async () => {
      const client = await go();
      client.socket.pause();
      for (let count = 0; count < 64; count++) void client.request(CMD.READ, 0, 1024 * 1024).catch(() => undefined);
      await quiet();
      await quiet();
      assert.ok(store.calls.length < 20, `${store.calls.length} replies are waiting`);
    });

    it("are answered before DISC ends the connection", async () => {
      const client = await go();
      store.held = true;
      const last = client.look(0, 1);
      client.socket.write(requestBytes(CMD.DISC, 0n, 0n, 0));
      await quiet();
      store.release();
      assert.deepEqual(await last, [7]);
      await client.closed;
    });

    it("are answered when the client has said all that it wants to say", async () => {
      const client = await go();
      store.held = true;
      const last = client.look(0, 1);
      client.socket.end();
      await quiet();
      store.release();
      assert.deepEqual(await last, [7]);
      await client.closed;
    });

    it("end with the connection when they break the protocol", async () => {
      const much = requestBytes(CMD.WRITE, 0n, 0n, MAX + 512);
      for (const bytes of [Buffer.alloc(28), Buffer.alloc(100, 0xff), much]) {
        const client = await go();
        client.socket.write(bytes);
        await client.closed;
      }
      assert.deepEqual(store.calls, []);
    });

    it("do not keep a connection that broke the protocol", async () => {
      const client = await go();
      client.socket.pause();
      for (let count = 0; count < 4; count++) void client.request(CMD.READ, 0, 1024 * 1024).catch(() => undefined);
      client.socket.write(Buffer.alloc(28));
      // its replies are taken by nobody
      await Promise.all(served);
    });

    it("that are cut off are not carried out, and those before them end", async () => {
      const client = await go();
      store.held = true;
      void client.fill(0, 1, 1).catch(() => undefined);
      client.socket.write(requestBytes(CMD.WRITE, 100n, 0n, 1024));
      client.socket.end(sectors(1, 2));
      await quiet();
      client.socket.destroy();
      store.release();
      await Promise.all(served);
      assert.deepEqual(store.calls, ["write 0+512 1"]);
    });

    it("of nonsense do no harm", async () => {
      let state = 1;
      const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 1) % 256;
      for (let round = 0; round < 50; round++) {
        const client = round % 2 === 0 ? await go() : connect();
        if (round % 4 === 1) await client.greet();
        const noise = Buffer.from(Array.from({ length: 200 }, next));
        if (round % 4 === 0) noise.writeUInt32BE(0x25609513);
        client.socket.end(noise);
        await quiet();
        client.socket.destroy();
      }
      await Promise.all(served);
      await (await go()).flush();
    });
  });
});
