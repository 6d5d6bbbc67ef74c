import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";

import type { NativeBlockDevice } from "../../lib/native";

import { DOUBLE_PATH, loadDouble, until } from "./double";

const PAGE = 4096;

// Regular files stand in for devices: what only a device does is for the lab to see (test/kernel/clog-devices.test.ts).
describe("a block device's thread", () => {
  const { addon } = loadDouble();
  let place: string;
  let file: string;
  before(() => {
    // not on tmpfs, which has had O_DIRECT only since Linux 6.6
    place = mkdtempSync(path.join(__dirname, "../../build/block-device-"));
    file = path.join(place, "file");
  });
  after(() => {
    rmSync(place, { recursive: true });
  });
  beforeEach(() => {
    writeFileSync(file, Buffer.alloc(4 * PAGE, "x"));
  });

  function open(name: string, writable = false, direct = false): Promise<NativeBlockDevice> {
    return new Promise((resolve, reject) => {
      addon.openBlockDevice(name, writable, direct, (failure, device) => {
        if (device) resolve(device);
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the addon's own shape
        else reject(failure);
      });
    });
  }
  const read = (
    device: NativeBlockDevice,
    position: number,
    length: number,
  ): Promise<{ errno: number; data?: Buffer }> =>
    new Promise((resolve) => {
      device.read(position, length, (errno, data) => {
        resolve(data ? { errno, data } : { errno });
      });
    });
  const write = (device: NativeBlockDevice, position: number, data: Uint8Array): Promise<number> =>
    new Promise((resolve) => {
      device.write(position, data, resolve);
    });
  const flush = (device: NativeBlockDevice): Promise<number> =>
    new Promise((resolve) => {
      device.flush(resolve);
    });
  const close = (device: NativeBlockDevice): Promise<void> =>
    new Promise((resolve) => {
      device.close(resolve);
    });

  it("writes when nobody else is writing any more: a killed server's last write comes before its successor's", async () => {
    const [device, other] = [await open(file, true), await open(file, true)];
    const fd = openSync(file, "r+");
    assert.equal(addon.lockFile(fd), 0);
    let written = 0;
    const writing = [device, other].map(async (each, at) => {
      assert.equal(await write(each, at * PAGE, Buffer.alloc(PAGE, "w")), 0);
      written++;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([written, readFileSync(file, "latin1")[0]], [0, "x"]);
    closeSync(fd);
    await Promise.all(writing);
    assert.equal(readFileSync(file, "latin1")[PAGE], "w");
    await Promise.all([close(device), close(other)]);
  });

  it("says what a file is", async () => {
    const device = await open(file);
    assert.deepEqual([device.size, device.major, device.minor, device.logicalBlockSize], [4 * PAGE, 0, 0, 512]);
    await close(device);
  });

  for (const direct of [false, true]) {
    const how = direct ? "with O_DIRECT" : "through the cache";

    it(`reads back what it wrote, ${how}`, async () => {
      const device = await open(file, true, direct);
      const data = Buffer.alloc(PAGE, "w");
      const written = write(device, PAGE, data);
      data.fill("?"); // was copied
      assert.equal(await written, 0);
      assert.equal(await flush(device), 0);
      const { errno, data: back } = await read(device, 0, 3 * PAGE);
      assert.equal(errno, 0);
      assert.ok(
        back?.equals(Buffer.concat([Buffer.alloc(PAGE, "x"), Buffer.alloc(PAGE, "w"), Buffer.alloc(PAGE, "x")])),
      );
      await close(device);
      assert.equal(readFileSync(file, "latin1").slice(PAGE - 1, PAGE + 2), "xww");
    });

    it(`reads less at the end, and nothing behind it, ${how}`, async () => {
      writeFileSync(file, Buffer.alloc(PAGE + 100, "x"));
      const device = await open(file, false, direct);
      assert.equal((await read(device, 0, 4 * PAGE)).data?.length, PAGE + 100);
      assert.equal((await read(device, PAGE, PAGE)).data?.length, 100);
      assert.equal((await read(device, 16 * PAGE, PAGE)).data?.length, 0);
      await close(device);
    });
  }

  it("does everything in the order of the calls", async () => {
    const device = await open(file, true);
    const ended: number[] = [];
    const all = Array.from({ length: 200 }, async (_, i) => {
      await write(device, 0, Buffer.alloc(PAGE, i));
      ended.push(i);
      return i;
    });
    const seen: (Buffer | undefined)[] = [];
    device.read(0, 1, (_, data) => seen.push(data));
    device.write(0, Buffer.from([250]), () => seen.push(undefined));
    device.read(0, 1, (_, data) => seen.push(data));
    device.close(() => seen.push(undefined));
    assert.deepEqual(ended, []);
    await Promise.all(all);
    await until("the close", () => seen.length === 4);
    assert.deepEqual(
      ended,
      [...ended].sort((a, b) => a - b),
    );
    assert.deepEqual([seen[0]?.[0], seen[2]?.[0]], [199, 250]);
  });

  it("passes on what the kernel refuses", async () => {
    const device = await open(file);
    assert.equal(await write(device, 0, Buffer.alloc(PAGE)), -os.constants.errno.EBADF);
    assert.equal(await flush(device), 0);
    await close(device);
    const direct = await open(file, true, true);
    assert.equal(await write(direct, 1, Buffer.alloc(PAGE)), -os.constants.errno.EINVAL);
    assert.equal((await read(direct, 1, PAGE)).errno, -os.constants.errno.EINVAL);
    await close(direct);
    const { ENOENT, ENOTBLK } = os.constants.errno as Record<string, number>;
    await assert.rejects(open(path.join(place, "none")), { errno: -ENOENT!, syscall: "open" });
    for (const other of [place, "/dev/null"])
      await assert.rejects(open(other), { errno: -(ENOTBLK ?? 15), syscall: "open" });
  });

  it("refuses what makes no sense before it asks anyone", async () => {
    const device = await open(file);
    const ignore = (): void => undefined;
    for (const bad of [-1, 0.5, NaN, 2 ** 53, "0"] as number[]) {
      assert.throws(() => {
        device.read(bad, 1, ignore);
      }, RangeError);
      assert.throws(() => {
        device.read(0, bad, ignore);
      }, RangeError);
      assert.throws(() => {
        device.write(bad, Buffer.alloc(1), ignore);
      }, RangeError);
    }
    assert.throws(() => {
      device.read(0, 2 ** 30 + 1, ignore);
    }, RangeError);
    assert.throws(() => {
      device.write(0, "text" as never, ignore);
    }, TypeError);
    assert.throws(() => {
      device.flush(1 as never);
    }, TypeError);
    assert.throws(() => {
      addon.openBlockDevice("a\0b", false, false, ignore);
    }, TypeError);
    assert.throws(() => {
      addon.openBlockDevice(file, false, false, undefined as never);
    }, TypeError);
    assert.throws(() => new (Object.getPrototypeOf(device) as { constructor: new () => unknown }).constructor());
    await close(device);
  });

  it("answers EBADF after close(), which can be called again", async () => {
    const device = await open(file);
    const closed = close(device);
    const late = read(device, 0, 1);
    await closed;
    assert.equal((await late).errno, -os.constants.errno.EBADF);
    await close(device);
    device.close();
    assert.equal(await flush(device), -os.constants.errno.EBADF);
  });

  it("leaves no thread and no descriptor behind", async () => {
    const count = (what: string): number => readdirSync(`/proc/self/${what}`).length;
    await close(await open(file)); // the mailbox stays
    const before = count("fd");
    const threads = count("task");
    const devices = await Promise.all(Array.from({ length: 200 }, () => open(file, true)));
    assert.ok(count("task") >= threads + 200);
    await Promise.all(
      devices.map(async (device) => {
        assert.equal(await write(device, 0, Buffer.from("y")), 0);
        await close(device);
      }),
    );
    await until("the threads end", () => count("task") <= threads);
    assert.equal(count("fd"), before);
  });

  it("goes with the object that nobody closed", () => {
    const program = `
      const { openBlockDevice } = require(${JSON.stringify(DOUBLE_PATH)});
      const { readdirSync } = require("node:fs");
      const threads = () => readdirSync("/proc/self/task").length;
      const before = threads();
      let left = 20;
      for (let i = 0; i < 20; i++) openBlockDevice(${JSON.stringify(file)}, true, false, (failure, device) => {
        device.write(0, Buffer.from("z"), () => { if (--left === 0) look(); });
      });
      function look() {
        gc();
        if (threads() > before) setTimeout(look, 20); else console.log("gone");
      }`;
    assert.equal(
      execFileSync(process.execPath, ["--expose-gc", "-e", program], { encoding: "utf8", timeout: 10_000 }),
      "gone\n",
    );
  });

  it("keeps the process alive for what is under way, and not for being open", () => {
    const program = `
      const { openBlockDevice } = require(${JSON.stringify(DOUBLE_PATH)});
      openBlockDevice(${JSON.stringify(file)}, true, false, (failure, device) => {
        device.write(0, Buffer.from("a"), () => {
          globalThis.kept = device;
          console.log("written");
        });
      });`;
    assert.equal(execFileSync(process.execPath, ["-e", program], { encoding: "utf8", timeout: 10_000 }), "written\n");
  });

  // To open a FIFO for reading hangs until somebody writes.
  it("an open that hangs keeps neither a worker nor the process from its end", async () => {
    const fifo = path.join(place, "fifo");
    execFileSync("mkfifo", [fifo]);
    const source = `
      const { openBlockDevice } = require(${JSON.stringify(DOUBLE_PATH)});
      openBlockDevice(${JSON.stringify(fifo)}, false, false, () => undefined);
      if (process.argv[1] === "exit") setTimeout(() => process.exit(7), 100);
      else require("node:worker_threads").parentPort?.postMessage("opening");`;
    const worker = new Worker(source, { eval: true });
    await new Promise((resolve) => worker.once("message", resolve));
    assert.equal(await worker.terminate(), 1);
    assert.throws(() => execFileSync(process.execPath, ["-e", source, "exit"], { timeout: 10_000 }), { status: 7 });
    writeFileSync(fifo, ""); // lets the thread of this process go
  });

  it("a worker can be terminated with operations under way", async () => {
    const source = `
      const { openBlockDevice } = require(${JSON.stringify(DOUBLE_PATH)});
      const { parentPort } = require("node:worker_threads");
      for (let i = 0; i < 5; i++) openBlockDevice(${JSON.stringify(file)}, true, false, (failure, device) => {
        const again = () => device.write(0, Buffer.alloc(65536), again);
        for (let j = 0; j < 50; j++) again();
        device.read(0, 4096, () => parentPort.postMessage("busy"));
      });`;
    const threads = (): number => readdirSync("/proc/self/task").length;
    const before = threads();
    for (let round = 0; round < 10; round++) {
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve) => worker.once("message", resolve));
      assert.equal(await worker.terminate(), 1);
    }
    await until("the threads end", () => threads() <= before);
  });

  it("the process can exit with operations under way", async () => {
    const program = `
      const { openBlockDevice } = require(${JSON.stringify(DOUBLE_PATH)});
      openBlockDevice(${JSON.stringify(file)}, true, false, (failure, device) => {
        for (let j = 0; j < 1000; j++) device.write(0, Buffer.alloc(65536), () => undefined);
        device.read(0, 4096, () => undefined);
        setImmediate(() => process.exit(5));
      });`;
    const child = spawn(process.execPath, ["-e", program], { stdio: "ignore" });
    assert.equal(await new Promise((resolve) => child.once("exit", resolve)), 5);
  });
});
