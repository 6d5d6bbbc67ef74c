import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";

import { LabError, LabOptionError } from "../../../lib/lab/errors";
import { SharedDisks } from "../../../lib/lab/qemu/disks/disks";
import { MAX_DISKS, parseSize } from "../../../lib/lab/disk-size";
import { random } from "../../../lib/lab/qemu/disks/random";
import { seed } from "../../kernel/support/seed";
import { CMD, FUA, NbdClient, SECTOR } from "./disks-nbd-client";

const MIB = 1024 * 1024;

describe("lab: a disk's size", () => {
  it("is read as people write it", () => {
    for (const [text, size] of [
      ["64M", 64 * MIB],
      ["1g", 1024 * MIB],
      ["1024K", MIB],
      ["1048576", MIB],
      ["1T", MIB * MIB],
    ] as const) {
      assert.equal(parseSize(text), size);
    }
  });

  it("has limits", () => {
    for (const text of [
      "",
      "M",
      "64MB",
      "1.5G",
      "-1M",
      " 1M",
      "0x100000",
      "1023K",
      "1048577",
      "2T",
      "1025G",
      "9".repeat(99),
    ]) {
      assert.throws(() => parseSize(text), LabOptionError, text);
    }
  });
});

describe("lab: shared disks", () => {
  let directory: string;
  let disks: SharedDisks;

  const open = async (nodes: readonly number[], ...sizes: number[]): Promise<void> => {
    disks = await SharedDisks.open({ directory, nodes, sizes });
  };
  const connect = (node: number, disk = 1): Promise<NbdClient> => {
    const blockdevs = disks.qemuArgs(node).filter((_, index, args) => args[index - 1] === "-blockdev");
    const options = new URLSearchParams(blockdevs[disk - 1]!.replaceAll(",", "&"));
    return NbdClient.go(options.get("server.path")!, options.get("export")!);
  };

  beforeEach(() => {
    directory = mkdtempSync("/tmp/clt-");
  });

  afterEach(async () => {
    await disks.close();
    assert.deepEqual(readdirSync(directory), []);
    rmSync(directory, { recursive: true });
  });

  it("are sparse files of zeroes that are gone in the end", async () => {
    await open([1, 2], 64 * MIB, 1024 * 1024 * MIB);
    assert.equal(statSync(path.join(directory, "disk1.raw")).size, 64 * MIB);
    const { size, blocks } = statSync(path.join(directory, "disk2.raw"));
    assert.deepEqual([size, blocks < 100], [MIB * MIB, true]);
    const client = await connect(2, 2);
    const last = (MIB * MIB) / SECTOR - 1;
    assert.deepEqual(await client.look(last, 1), [0]);
    await client.fill(last, 1, 5);
    assert.deepEqual(await client.look(last - 1, 2), [0, 5]);
    assert.equal(await disks.settle(2, "all", 1), 1);
  });

  it("are attached in order, at fixed addresses, with a volatile cache", async () => {
    rmSync(directory, { recursive: true });
    directory = mkdtempSync(`${directory},`);
    await open([1, 2], MIB, MIB);
    const nbd = "driver=nbd,server.type=unix,server.path=" + directory.replace(",", ",,");
    assert.deepEqual(disks.qemuArgs(2), [
      ...["-blockdev", `${nbd}/n2.disk1,node-name=disk1,export=disk1`],
      ...["-device", `virtio-blk-pci,drive=disk1,serial=clusterlock-disk1,addr=0x10,${CACHE}`],
      ...["-blockdev", `${nbd}/n2.disk2,node-name=disk2,export=disk2`],
      ...["-device", `virtio-blk-pci,drive=disk2,serial=clusterlock-disk2,addr=0x11,${CACHE}`],
    ]);
  });

  it("show every node at once what any node has written", async () => {
    await open([1, 2, 3], MIB, MIB);
    const clients = await Promise.all([1, 2, 3].map((node) => connect(node)));
    for (const [index, writer] of clients.entries()) {
      await writer.fill(index, 2, index + 1);
      for (const reader of clients) assert.deepEqual(await reader.look(index, 2), [index + 1, index + 1]);
    }
    assert.deepEqual(await (await connect(1, 2)).look(0, 4), [0, 0, 0, 0]);
  });

  for (const [lose, lost, after] of [
    ["all", 3, [1, 2, 0, 0, 5, 0]],
    ["none", 0, [1, 2, 3, 3, 5, 6]],
  ] as const) {
    it(`lose ${lose} of what was not flushed`, async () => {
      await open([1, 2], MIB);
      const client = await connect(1);
      await client.fill(0, 1, 1);
      await client.flush();
      await client.fill(1, 1, 2, FUA);
      await client.fill(2, 2, 3);
      await client.fill(4, 1, 5, FUA);
      await client.fill(5, 1, 6);
      client.socket.destroy();
      assert.equal(await disks.settle(1, lose, 1), lost);
      const other = await connect(2);
      assert.deepEqual(await other.look(0, 6), after);
      // it is settled: nothing is left to lose, and the node can come back
      assert.equal(await disks.settle(1, "all", 1), 0);
      const again = await connect(1);
      await again.fill(0, 1, 9);
      assert.equal(await disks.settle(1, "all", 1), 1);
      assert.deepEqual(await other.look(0, 6), after);
    });
  }

  it("lose some, sector by sector, the same for the same seed", async () => {
    await open([1, 2], MIB, MIB);
    const [reader, second] = [await connect(2), await connect(2, 2)];
    const results: string[] = [];
    for (const dice of [1, 1, 2]) {
      for (const [disk, look] of [
        [1, reader],
        [2, second],
      ] as const) {
        await look.fill(0, 256, 0);
        await look.flush();
        await (await connect(1, disk)).fill(0, 256, 1);
      }
      const lost = await disks.settle(1, "some", dice);
      const left = [await reader.look(0, 256), await second.look(0, 256)];
      assert.equal(lost, left.flat().filter((byte) => byte === 0).length);
      assert.ok(lost > 192 && lost < 320, `${lost} of 512`);
      assert.notDeepEqual(left[0], left[1]);
      results.push(left.join());
    }
    assert.equal(results[0], results[1]);
    assert.notEqual(results[0], results[2]);
  });

  it("lose nothing of a node that lives", async () => {
    await open([1, 2], MIB);
    const [one, two] = [await connect(1), await connect(2)];
    await two.fill(0, 4, 2);
    await one.fill(2, 4, 1);
    assert.equal(await disks.settle(1, "all", 1), 4);
    assert.deepEqual(await two.look(0, 6), [2, 2, 2, 2, 0, 0]);
    await one.closed;
    await two.fill(4, 1, 2);
    assert.equal(await disks.settle(2, "all", 1), 5);
    assert.deepEqual(await (await connect(1)).look(0, 6), [0, 0, 0, 0, 0, 0]);
  });

  it("save more than they copy at a time, and give the room back", async () => {
    await open([1], 128 * MIB);
    const count = (20 * MIB) / SECTOR;
    for (let round = 1; round <= 5; round++) {
      const client = await connect(1);
      await client.fill(7, count, round);
      await client.flush();
      await client.fill(7, count, 99);
      assert.equal(await disks.settle(1, "all", 1), count);
      assert.deepEqual(new Set(await (await connect(1)).look(7, count)), new Set([round]));
    }
  }).timeout(60_000);

  it("never show a torn write, and end as some order of the writes says", async () => {
    await open([1, 2, 3], 8 * MIB);
    const count = (2 * MIB) / SECTOR;
    const from = seed();
    const clients = await Promise.all([1, 2, 3].map((node) => connect(node)));
    const next = random(from);
    const work: Promise<void>[] = [];
    for (let step = 0; step < 240; step++) {
      const client = clients[step % 3]!;
      const first = Math.floor(next() * 3) * count;
      const torn = async (): Promise<void> => {
        const seen = new Set(await client.look(first, count));
        assert.equal(seen.size, 1, `seed ${from}: ${[...seen].join()} at ${first}`);
      };
      const dice = next();
      if (dice < 0.5) work.push(client.fill(first, count, 1 + (step % 250), dice < 0.1 ? FUA : 0));
      else if (dice < 0.6) work.push(client.flush());
      else work.push(torn());
      if (work.length > 20) await work.shift();
    }
    await Promise.all(work);
    // node by node back to a state in which nobody has anything to lose
    for (const node of [1, 2]) await disks.settle(node, "all", from);
    for (const first of [0, count, 2 * count]) assert.equal(new Set(await clients[2]!.look(first, count)).size, 1);
    await disks.settle(3, "none", from);
    for (const node of [1, 2, 3]) assert.equal(await disks.settle(node, "all", from), 0);
  });

  it("do what a list of versions for each sector does, through files and sockets", async () => {
    const from = seed();
    const next = random(from);
    const below = (limit: number): number => Math.floor(next() * limit);
    await open([1, 2, 3], MIB);
    const clients = new Map<number, NbdClient>();
    const durable = new Array<number>(8).fill(0);
    const unflushed = Array.from({ length: 8 }, (): [number, number][] => []);
    for (let step = 1; step <= 600; step++) {
      const node = 1 + below(3);
      const client = clients.get(node) ?? (await connect(node));
      clients.set(node, client);
      const [first, byte, dice] = [below(8), step % 251, below(12)];
      const count = 1 + below(8 - first);
      for (let sector = 0; sector < 8; sector++) {
        const versions = unflushed[sector]!;
        const at = versions.findIndex(([owner]) => owner === node);
        const mine = versions[at];
        if (dice < 9) {
          if (sector < first || sector >= first + count) continue;
          if (at >= 0) versions.splice(at, 1);
          versions.push([node, byte]);
          if (dice !== 0) continue;
          durable[sector] = byte;
          versions.splice(0);
        } else if (mine !== undefined && dice === 11) versions.splice(at, 1);
        else if (mine !== undefined) {
          durable[sector] = mine[1];
          versions.splice(0, at + 1);
        }
      }
      if (dice < 9) await client.fill(first, count, byte, dice === 0 ? FUA : 0);
      else if (dice === 9) await client.flush();
      else {
        await disks.settle(node, dice === 11 ? "all" : "none", step);
        clients.delete(node);
      }
      const expected = unflushed.map((versions, sector) => versions.at(-1)?.[1] ?? durable[sector]!);
      const file = readFileSync(path.join(directory, "disk1.raw"));
      const seen = expected.map((_, sector) => file.readUInt8(sector * SECTOR));
      assert.deepEqual(seen, expected, `seed ${from}, step ${step}`);
    }
  });

  it("settle and close under a client that neither reads nor ends", async () => {
    await open([1, 2], MIB);
    const [one, two] = [await connect(1), await connect(2)];
    for (const client of [one, two]) {
      client.socket.pause();
      for (let count = 0; count < 100; count++) void client.request(CMD.READ, 0, MIB).catch(() => undefined);
      client.socket.write(Buffer.alloc(10));
    }
    await disks.settle(1, "all", 1);
    await disks.close();
    for (const client of [one, two]) client.socket.destroy();
  });

  it("forget a connection that ended, and take no crowd", async () => {
    await open([1], MIB);
    for (let count = 0; count < 20; count++) {
      const client = await connect(1);
      await client.fill(0, 1, count);
      client.socket.end();
      await client.closed;
    }
    const crowd = await Promise.allSettled(Array.from({ length: 20 }, () => connect(1)));
    const taken = crowd.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    assert.ok(taken.length >= 1 && taken.length < 8, `${taken.length} connections`);
    for (const client of taken) client.socket.destroy();
  });

  it("say why they cannot be, and leave nothing", async () => {
    await open([1], MIB);
    const deep = path.join(directory, "x".repeat(90));
    await assert.rejects(SharedDisks.open({ directory: deep, nodes: [1], sizes: [MIB] }), LabError);
    const sizes = Array.from({ length: MAX_DISKS + 1 }, () => MIB);
    await assert.rejects(SharedDisks.open({ directory, nodes: [1], sizes }), /8 is the most/);
    // what is in the way stays
    const other = mkdtempSync("/tmp/clt-");
    writeFileSync(path.join(other, "disk2.raw"), "mine");
    const failing = SharedDisks.open({ directory: other, nodes: [1], sizes: [MIB, MIB] });
    await assert.rejects(failing, /cannot make the shared disks: EEXIST/);
    assert.deepEqual(readdirSync(other), ["disk2.raw"]);
    const inTheWay = path.join(other, "n1.disk1");
    const server = net.createServer().listen(inTheWay);
    await assert.rejects(SharedDisks.open({ directory: other, nodes: [1], sizes: [MIB] }), /EADDRINUSE/);
    assert.deepEqual(readdirSync(other).sort(), ["disk2.raw", "n1.disk1"]);
    await new Promise((resolve) => server.close(resolve));
    rmSync(other, { recursive: true });
    const long = mkdtempSync(`/tmp/clt-${"y".repeat(90)}`);
    await assert.rejects(SharedDisks.open({ directory: long, nodes: [1], sizes: [MIB] }), /too long for a socket/);
    assert.deepEqual(readdirSync(long), []);
    rmSync(long, { recursive: true });
  });
});

const CACHE = "write-cache=on,discard=off,write-zeroes=off";
