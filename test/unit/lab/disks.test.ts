import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import path from "node:path";

import { dice } from "../../../lib/lab/qemu/disks/dice";
import { SharedDisks } from "../../../lib/lab/qemu/disks/disks";
import { SECTOR, Unflushed } from "../../../lib/lab/qemu/disks/unflushed";

const NODES = [1, 2, 3];

/** Content of a sector that says who wrote it when. */
function content(stamp: number): Buffer {
  const data = Buffer.alloc(SECTOR);
  data.writeUInt32BE(stamp);
  return data;
}

/** The same rules, told naively: all writes that are not moot, in order. */
class Model {
  readonly durable: number[];
  readonly writes: { node: number; sector: number; stamp: number }[] = [];

  constructor(sectors: number) {
    this.durable = Array.from({ length: sectors }, () => 0);
  }

  flush(node: number): void {
    for (let index = this.writes.length - 1; index >= 0; index--) {
      const write = this.writes[index];
      // the latest first: what comes before it in the same sector goes with it
      if (write?.node === node) this.#settle(index);
      index = Math.min(index, this.writes.length);
    }
  }

  lose(node: number): void {
    for (let index = this.writes.length - 1; index >= 0; index--) {
      if (this.writes[index]?.node === node) this.writes.splice(index, 1);
    }
  }

  read(sector: number): number {
    return this.writes.findLast((write) => write.sector === sector)?.stamp ?? this.durable[sector] ?? 0;
  }

  #settle(index: number): void {
    const { sector, stamp } = this.writes[index]!;
    this.durable[sector] = stamp;
    for (let older = index; older >= 0; older--)
      if (this.writes[older]?.sector === sector) this.writes.splice(older, 1);
  }
}

describe("lab: what a shared disk has not flushed", () => {
  it("follows its rules in random histories", () => {
    const seed = Number(process.env.CLUSTERLOCK_SEED ?? 1);
    for (let round = 0; round < 300; round++) {
      const roll = dice(seed * 1000 + round);
      const pick = (below: number): number => Math.floor(roll() * below);
      const sectors = 6;
      const [model, unflushed] = [new Model(sectors), new Unflushed()];
      const disk = Array.from({ length: sectors }, () => content(0));
      const story: string[] = [`seed ${seed}, round ${round}`];
      for (let step = 1; step <= 60; step++) {
        const node = NODES[pick(3)]!;
        const what = pick(10);
        if (what < 6) {
          const first = pick(sectors);
          const count = 1 + pick(sectors - first);
          story.push(`${node} writes ${first}+${count}: ${step}`);
          const former = unflushed.needsFormer(node, first, count)
            ? Buffer.concat(disk.slice(first, first + count))
            : undefined;
          for (let sector = first; sector < first + count; sector++) {
            disk[sector] = content(step);
            model.writes.push({ node, sector, stamp: step });
          }
          unflushed.wrote(node, first, count, former);
        } else if (what < 8) {
          story.push(`${node} flushes`);
          unflushed.flushed(node);
          model.flush(node);
        } else {
          story.push(`${node} loses`);
          for (const { sector, data } of unflushed.lost(node, () => false).reversals) disk[sector] = data;
          model.lose(node);
        }
        assert.deepEqual(
          disk.map((data) => data.readUInt32BE()),
          disk.map((_, sector) => model.read(sector)),
          story.join("\n"),
        );
      }
    }
  });

  it("keeps the sectors that the dice keep, the same for the same seed", () => {
    const kept = (seed: number): number[] => {
      const unflushed = new Unflushed();
      unflushed.wrote(1, 0, 100, Buffer.alloc(100 * SECTOR));
      const roll = dice(seed);
      return unflushed.lost(1, () => roll() < 0.5).reversals.map(({ sector }) => sector);
    };
    assert.deepEqual(kept(7), kept(7));
    assert.notDeepEqual(kept(7), kept(8));
    assert.ok(kept(7).length > 25 && kept(7).length < 75);
  });

  it("writes out the oldest when it is full", () => {
    const unflushed = new Unflushed(10);
    for (let sector = 0; sector < 25; sector++) unflushed.wrote(1, sector, 1, content(0));
    assert.deepEqual(
      unflushed.lost(1, () => false).reversals.map(({ sector }) => sector),
      [15, 16, 17, 18, 19, 20, 21, 22, 23, 24],
    );
  });
});

/** Just enough of an NBD client. */
class Client {
  readonly #socket: net.Socket;
  #data: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  ended = false;

  constructor(file: string) {
    this.#socket = net.connect(file);
    this.#socket.on("data", (chunk) => {
      this.#data = Buffer.concat([this.#data, chunk]);
      this.#wake();
    });
    this.#socket.on("error", () => undefined);
    this.#socket.once("close", () => {
      this.ended = true;
      this.#wake();
    });
  }

  static async open(file: string): Promise<Client> {
    const client = new Client(file);
    assert.equal((await client.take(16)).toString(), "NBDMAGICIHAVEOPT");
    await client.take(2);
    client.send(u32(3), Buffer.from("IHAVEOPT"), u32(7), u32(6), u32(0), Buffer.alloc(2));
    for (;;) {
      const head = await client.take(20);
      const data = await client.take(head.readUInt32BE(16));
      assert.equal(head.readUInt32BE(8), 7);
      if (head.readUInt32BE(12) === 1) return client;
      if (data.readUInt16BE() === 0) client.size = Number(data.readBigUInt64BE(2));
    }
  }

  size = 0;

  send(...data: Buffer[]): void {
    this.#socket.write(Buffer.concat(data));
  }

  async take(length: number): Promise<Buffer> {
    while (this.#data.length < length) {
      if (this.ended) throw new Error("the connection is over");
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const data = this.#data.subarray(0, length);
    this.#data = this.#data.subarray(length);
    return data;
  }

  async request(
    command: number,
    offset: number,
    length: number,
    data: Buffer = Buffer.alloc(0),
    flags = 0,
  ): Promise<number> {
    const cookie = Buffer.from("cookie!!");
    const place = Buffer.alloc(8);
    place.writeBigUInt64BE(BigInt(offset));
    this.send(u32(0x25609513), u16(flags), u16(command), cookie, place, u32(length), data);
    const reply = await this.take(16);
    assert.equal(reply.readUInt32BE(), 0x67446698);
    assert.ok(reply.subarray(8).equals(cookie));
    return reply.readUInt32BE(4);
  }

  async read(offset: number, length: number): Promise<Buffer> {
    assert.equal(await this.request(0, offset, length), 0);
    return this.take(length);
  }

  async write(offset: number, data: Buffer, flags = 0): Promise<void> {
    assert.equal(await this.request(1, offset, data.length, data, flags), 0);
  }

  async flush(): Promise<void> {
    assert.equal(await this.request(3, 0, 0), 0);
  }

  async cut(): Promise<void> {
    this.#socket.destroy();
    while (!this.ended) await new Promise((resolve) => setImmediate(resolve));
  }
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

function u32(value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(value);
  return data;
}

describe("lab: shared disks over NBD", () => {
  let directory: string;
  let disks: SharedDisks;
  const size = 1024 * 1024;

  beforeEach(async () => {
    directory = mkdtempSync("/tmp/clt-");
    disks = await SharedDisks.open({ directory, nodes: [1, 2], sizes: [size, 2 * size] });
  });
  afterEach(async () => {
    await disks.close();
    assert.deepEqual(readdirSync(directory), []);
    rmSync(directory, { recursive: true });
  });

  const connect = async (node: number, disk = 1): Promise<Client> =>
    Client.open(path.join(directory, `n${node}.disk${disk}`));

  it("have their sizes, and each node sees at once what another wrote", async () => {
    const [one, two, other] = [await connect(1), await connect(2), await connect(1, 2)];
    assert.deepEqual([one.size, two.size, other.size], [size, size, 2 * size]);
    await one.write(4096, Buffer.from("x".repeat(1024)));
    assert.equal((await two.read(4096, 1024)).toString(), "x".repeat(1024));
    assert.ok((await two.read(0, 4096)).equals(Buffer.alloc(4096)));
    assert.equal(readFileSync(path.join(directory, "disk1.raw")).subarray(4096, 4097).toString(), "x");
    for (const client of [one, two, other]) await client.cut();
  });

  it("lose what was not flushed, and nothing else", async () => {
    const [one, two] = [await connect(1), await connect(2)];
    await one.write(0, Buffer.alloc(512, "a"));
    await one.flush();
    await one.write(512, Buffer.alloc(512, "b"), 1);
    await one.write(1024, Buffer.alloc(512, "c"));
    await two.write(1536, Buffer.alloc(512, "d"));
    await one.cut();
    assert.equal(await disks.settle(1, "all", 1), 1);
    const data = await two.read(0, 2048);
    assert.equal([0, 512, 1024, 1536].map((at) => String.fromCharCode(data[at]!)).join(), "a,b,\0,d");
    await two.cut();
  });

  it("keep all when disks keep their power, and take a node that comes back", async () => {
    const one = await connect(1);
    await one.write(0, Buffer.alloc(512, "a"));
    await one.cut();
    assert.equal(await disks.settle(1, "none", 1), 0);
    const again = await connect(1);
    assert.equal((await again.read(0, 512)).toString(), "a".repeat(512));
    // and what it wrote before is durable by now
    await again.cut();
    assert.equal(await disks.settle(1, "all", 1), 0);
  });

  it("refuse what is not on the disk, and go on", async () => {
    const one = await connect(1);
    assert.equal(await one.request(0, size, 512), 22);
    assert.equal(await one.request(1, size - 512, 1024, Buffer.alloc(1024)), 28);
    assert.equal(await one.request(0, 1, 512), 22);
    assert.equal(await one.request(0, 0, 1), 22);
    assert.equal(await one.request(4, 0, 512), 22);
    assert.equal((await one.read(size - 512, 512)).length, 512);
    await one.cut();
  });

  it("cut off who does not speak the protocol, and serve the others", async () => {
    const good = await connect(2);
    for (const garbage of [Buffer.alloc(64, 255), Buffer.concat([u32(3), Buffer.alloc(64)]), Buffer.alloc(0)]) {
      const bad = new Client(path.join(directory, "n1.disk1"));
      await bad.take(18);
      bad.send(garbage);
      if (garbage.length === 0) await bad.cut();
      while (!bad.ended) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const half = await connect(1);
    half.send(u32(0x25609513), Buffer.alloc(4));
    await half.cut();
    const wrong = await connect(1);
    wrong.send(Buffer.alloc(28));
    while (!wrong.ended) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal((await good.read(0, 512)).length, 512);
    await good.cut();
  });

  it("answer the older handshake and the questions before it", async () => {
    const client = new Client(path.join(directory, "n1.disk1"));
    await client.take(18);
    const option = (number: number): Buffer => Buffer.concat([Buffer.from("IHAVEOPT"), u32(number), u32(0)]);
    client.send(u32(1), option(99), option(3));
    assert.equal((await client.take(20)).readUInt32BE(12), 2 ** 31 + 1);
    assert.equal((await client.take(24)).readUInt32BE(12), 2);
    assert.equal((await client.take(20)).readUInt32BE(12), 1);
    client.send(option(1));
    assert.equal(Number((await client.take(10 + 124)).readBigUInt64BE()), size);
    assert.equal((await client.read(0, 512)).length, 512);
    await client.cut();
  });

  it("are not there any more when they are closed", async () => {
    const own = mkdtempSync("/tmp/clt-");
    const closed = await SharedDisks.open({ directory: own, nodes: [1], sizes: [size] });
    assert.ok(existsSync(path.join(own, "disk1.raw")));
    await closed.close();
    assert.deepEqual(readdirSync(own), []);
    rmSync(own, { recursive: true });
  });
});
