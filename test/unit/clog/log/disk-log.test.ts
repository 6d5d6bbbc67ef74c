import assert from "node:assert/strict";
import { mock } from "node:test";

import type { LogContext } from "../../../../lib/clog/log/dirty-log";
import { DiskLog } from "../../../../lib/clog/log/disk-log";

import { valueError } from "../../dlmfs/support";

import { type FakeDisk, FakeHost, cleanOnDisk, kernelLog, turns } from "./fake-host";
import { useAddon } from "../../../../lib/native";

// regions of 1024 sectors
const LENGTH = 8192;
const COUNT = 8;
const ALL = [0, 1, 2, 3, 4, 5, 6, 7];
const LOG = "/dev/log";
const CLEAR_DELAY = 5000;

describe("a disk log", () => {
  let host: FakeHost;
  let disk: FakeDisk;
  let leg0: FakeDisk;
  let leg1: FakeDisk;

  beforeEach(() => {
    mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
    host = new FakeHost();
    disk = host.add(LOG, "1:2", 8192);
    leg0 = host.add("/dev/leg0", "1:0", 8192);
    leg1 = host.add("/dev/leg1", "1:1", 8192);
    host.mirror("LVM-a", `clustered-disk ${LOG} 1024`, ["1:0", "1:1"]);
  });

  afterEach(() => {
    useAddon(undefined);
    mock.timers.reset();
  });

  const make = (words = `${LOG} 1024`, changes: Partial<LogContext> = {}, length = LENGTH): Promise<DiskLog> =>
    DiskLog.create(host.context("clustered-disk", words, length, changes), { findDevice: host.find });

  const resumed = async (words?: string, changes?: Partial<LogContext>, length?: number): Promise<DiskLog> => {
    const log = await make(words, changes, length);
    await log.resume();
    return log;
  };

  const inSync = (log: DiskLog): number[] =>
    Array.from({ length: log.regionCount }, (_, region) => region).filter((region) => log.inSync(region));

  const onDisk = (): number[] => cleanOnDisk(disk.content, COUNT);

  const round = async (): Promise<void> => {
    mock.timers.tick(CLEAR_DELAY);
    await turns();
  };

  /** What comes before the kernel writes to a region, and after. */
  const write = async (log: DiskLog, region: number): Promise<void> => {
    log.mark([region]);
    await log.flush();
    log.clear([region]);
  };

  describe("when a table is loaded", () => {
    it("does nothing to the log device but to open it", async () => {
      disk.content = kernelLog(8192, COUNT, [1, 2]);
      const before = Buffer.from(disk.content);
      const log = await make();
      assert.deepEqual(disk.done, []);
      assert.deepEqual(disk.content, before);
      assert.deepEqual(disk.openModes, ["rw direct"]);
      assert.deepEqual([log.regionSize, log.regionCount, log.device], [1024, COUNT, LOG]);
      await log.close();
      assert.deepEqual([disk.done, disk.opened], [[], 0]);
    });

    it("counts nothing as in sync, for the kernel asks before the resume", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await make();
      assert.deepEqual([log.syncCount(), inSync(log), log.resyncWork()], [0, [], undefined]);
      assert.equal(log.remoteRecovering().firstUnsynced, 0);
      assert.equal(log.describe().inSync, 0);
    });

    it("needs room for the header and the bits, rounded up as the kernel does", async () => {
      // 1024 + 64 bytes of bits for 512 regions
      const small = host.add("/dev/small", "1:5", 1536, 512);
      assert.equal((await make("/dev/small 2", {}, 1024)).regionCount, 512);
      small.content = Buffer.alloc(1024);
      await assert.rejects(make("/dev/small 2", {}, 1024), { code: "EINVAL", message: /1536 bytes are needed/ });
      host.add("/dev/large-blocks", "1:6", 3584, 4096);
      await assert.rejects(make("/dev/large-blocks 2", {}, 1024), { code: "EINVAL", message: /4096 bytes are needed/ });
      assert.equal(small.opened, 1);
    });

    it("is refused without a device, with one that is not there, and with wrong words", async () => {
      await assert.rejects(make("/dev/none 1024"), { code: "ENODEV" });
      await assert.rejects(make(`${LOG} 1000`), { code: "EINVAL" });
      await assert.rejects(make(LOG), { code: "EINVAL" });
      await assert.rejects(DiskLog.create({ ...host.context("clustered-disk", "", LENGTH), args: [] }), {
        code: "EINVAL",
      });
      assert.equal(disk.opened, 0);
    });

    it("is refused when the name is another device's by the time it is opened", async () => {
      const findDevice = (path: string): Promise<{ path: string; number: string }> =>
        Promise.resolve({ path, number: "7:7" });
      const context = host.context("clustered-disk", `${LOG} 1024`, LENGTH);
      await assert.rejects(DiskLog.create(context, { findDevice }), {
        code: "ENODEV",
        message: /1:2 by now, and was 7:7/,
      });
      assert.equal(disk.opened, 0);
    });

    it("is refused with a delay of clears that no timer can have", async () => {
      for (const clearDelay of [0, -1, NaN, 2 ** 31]) {
        const made = DiskLog.create(host.context("clustered-disk", `${LOG} 1024`, LENGTH), { clearDelay });
        await assert.rejects(made, valueError(/"clearDelay" argument must be 1 to 2147483647 ms/));
      }
      assert.equal(disk.opened, 0);
    });

    it("lets go of the device when there is no memory for the regions", async () => {
      const regions = (): never => {
        throw new Error("no memory");
      };
      await assert.rejects(make(`${LOG} 1024`, { regions }), /no memory/);
      assert.equal(disk.opened, 0);
    });

    it("lets go of the device when whoever hears its reports throws", async () => {
      const report = (): never => {
        throw new Error("no ears");
      };
      disk.failing.add("read");
      await assert.rejects(make(`${LOG} 1024`, { origin: "rebuilt", resumed: true, report }), /no ears/);
      assert.equal(disk.opened, 0);
    });
  });

  describe("at a resume", () => {
    it("is new without the magic: nothing is in sync, and header and bits are written", async () => {
      disk.content.fill(0xff);
      const log = await resumed();
      assert.deepEqual(inSync(log), []);
      assert.deepEqual(disk.content.subarray(0, 16), kernelLog(8192, COUNT, []).subarray(0, 16));
      assert.deepEqual(onDisk(), []);
      assert.deepEqual(disk.content.subarray(1032, 1536), Buffer.alloc(504));
    });

    for (const version of [1, 2]) {
      it(`takes what a kernel of version ${version} wrote`, async () => {
        disk.content = kernelLog(8192, COUNT, [0, 3, 7], version);
        const log = await resumed();
        assert.deepEqual(inSync(log), [0, 3, 7]);
        assert.equal(log.syncCount(), 3);
        assert.deepEqual(disk.content, kernelLog(8192, COUNT, [0, 3, 7]));
        assert.equal(log.remoteRecovering().firstUnsynced, 1);
      });
    }

    it("leaves what dm-log.c's kernel can take, of more regions than fill a page", async () => {
      const count = 3 * 8 * 4096;
      const big = host.add("/dev/big", "1:7", 64 * 1024, 512);
      const clean = Array.from({ length: count }, (_, region) => region).filter((region) => region % 7 !== 3);
      big.content = kernelLog(64 * 1024, count, clean);
      const before = Buffer.from(big.content);
      const log = await resumed("/dev/big 2", {}, 2 * count);
      assert.deepEqual(big.content, before);
      assert.equal(log.syncCount(), clean.length);
      await write(log, 30000);
      assert.deepEqual(big.done.slice(-1), ["write 4096+4096"]);
      before[1024 + 3750]! &= ~1;
      assert.deepEqual(big.content, before);
    });

    it("writes no more than the log takes, in whole blocks", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      await resumed();
      assert.deepEqual(disk.done, ["read 0+1536", "write 0+1536"]);
      const large = host.add("/dev/large-blocks", "1:6", 8192, 4096);
      large.content = kernelLog(8192, COUNT, ALL);
      await resumed("/dev/large-blocks 1024", { luid: 2n });
      assert.deepEqual(large.done, ["read 0+4096", "write 0+4096"]);
      // 1024 + 4096 bytes of bits
      const two = host.add("/dev/two", "1:8", 5120);
      two.content = kernelLog(5120, 32768, []);
      await resumed("/dev/two 2", { luid: 3n }, 2 * 32768);
      assert.deepEqual(two.done, ["read 0+4096", "read 4096+1024", "write 4096+1024", "write 0+4096"]);
    });

    for (const [what, old] of [
      ["a log device full of something else", Buffer.alloc(16384, 0xff)],
      ["a log of fewer regions, with ones behind its end", ((): Buffer => kernelLog(16384, 5, []).fill(0xff, 1024))()],
    ] as const) {
      it(`of ${what}, no moment of the first writes has a header that makes it count`, async () => {
        // the bits fill one page, and a part of another
        const count = 30_000;
        const device = host.add("/dev/garbage", "1:9", 16384);
        for (let moment = 0; ; moment++) {
          device.content = Buffer.from(old);
          device.held.add("write");
          const resuming = resumed("/dev/garbage 2", { luid: BigInt(100 + moment) }, 2 * count).catch(() => undefined);
          await turns();
          for (let step = 0; step < moment && device.underWay.length > 0; step++) {
            device.step();
            await turns();
          }
          const over = device.underWay.length === 0;
          // of what is being written, the header's sector alone lands
          device.crash((sector) => sector === 0);
          const regions = device.content.readUInt32LE(0) === 0x4d695272 ? device.content.readUInt32LE(8) : 0;
          const wrong = cleanOnDisk(device.content, count).filter((region) => region >= 5 && region < regions);
          assert.deepEqual(wrong, [], `after ${moment} writes`);
          device.held.clear();
          if (over) {
            assert.equal(regions, count);
            await resuming;
            break;
          }
        }
      });
    }

    it("of a mirror that has grown, the new regions are out of sync", async () => {
      disk.content = kernelLog(8192, 5, ALL);
      assert.deepEqual(inSync(await resumed()), [0, 1, 2, 3, 4]);
      assert.equal(disk.content.readBigUInt64LE(8), BigInt(COUNT));
      assert.deepEqual(onDisk(), [0, 1, 2, 3, 4]);
    });

    it("of a mirror that has shrunk, there is no bit beyond the last region", async () => {
      disk.content = kernelLog(8192, 64, [...ALL, 9, 63]);
      assert.deepEqual(inSync(await resumed()), ALL);
      assert.deepEqual(disk.content, kernelLog(8192, COUNT, ALL));
    });

    it("with `nosync`, what the log says nothing of is in sync, and what it calls dirty is not", async () => {
      disk.content = kernelLog(8192, 5, [0, 1]);
      assert.deepEqual(inSync(await resumed(`${LOG} 1024 nosync`)), [0, 1, 5, 6, 7]);
      disk.content = Buffer.alloc(8192);
      assert.deepEqual(inSync(await resumed(`${LOG} 1024 nosync`, { luid: 2n })), ALL);
      assert.deepEqual(onDisk(), ALL);
    });

    it("with `sync`, nothing is in sync, at the first resume of a table only", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed(`${LOG} 1024 sync`);
      assert.deepEqual([inSync(log), onDisk()], [[], []]);
      await log.setRegionSync(2, true);
      await log.postsuspend();
      await log.resume();
      assert.deepEqual([inSync(log), onDisk()], [[2], [2]]);
    });

    it("with `sync`, the first resume is the first even after a restart of the server", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      await (await make(`${LOG} 1024 sync`)).detach();
      const log = await resumed(`${LOG} 1024 sync`, { origin: "restored" });
      assert.deepEqual(inSync(log), []);
    });

    it("counts nothing as in sync while it finds out what is", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await log.postsuspend();
      disk.content = kernelLog(8192, COUNT, [1, 2]);
      disk.held.add("read");
      const resuming = log.resume();
      await turns();
      assert.deepEqual([log.syncCount(), log.remoteRecovering().firstUnsynced], [0, 0]);
      disk.held.clear();
      disk.step();
      await resuming;
      assert.equal(log.syncCount(), 2);
    });

    it("reads the device again after a suspend, and takes what it and memory agree on", async () => {
      disk.content = kernelLog(8192, COUNT, [0, 1, 2, 3]);
      const log = await resumed();
      log.mark([1]);
      await log.postsuspend();
      // somebody else has had it meanwhile
      disk.content = kernelLog(8192, COUNT, [1, 2, 3, 4]);
      await log.resume();
      assert.deepEqual(
        [inSync(log), onDisk()],
        [
          [2, 3],
          [2, 3],
        ],
      );
      assert.equal(log.describe().marked, 0);
    });

    it("takes what memory and device agree on after a suspend and a restart of the server, too", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      log.mark([1]);
      await log.postsuspend();
      await log.detach();
      disk.content = kernelLog(8192, COUNT, [1, 2, 3, 4]);
      const again = await make(`${LOG} 1024`, { origin: "restored" });
      assert.equal(disk.done.filter((line) => line.startsWith("read")).length, 1);
      await again.resume();
      assert.deepEqual(inSync(again), [2, 3, 4]);
    });

    it("when the device cannot be read, nothing is in sync, and the log goes on as D", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await make(`${LOG} 1024 nosync`);
      disk.failing.add("read");
      await assert.rejects(log.resume(), { name: "Error", code: "EIO", syscall: "read", path: LOG });
      assert.deepEqual([inSync(log), onDisk(), log.resyncWork()], [[], [], 0]);
      assert.equal(log.status(), "3 clustered-disk 1:2 D");
      assert.deepEqual(host.kinds, ["log-device-failed"]);
      await log.setRegionSync(0, true);
      await round();
      assert.equal(log.status(), "3 clustered-disk 1:2 A");
      assert.deepEqual(onDisk(), [0]);
    });

    it("a log of another version is as one that cannot be read", async () => {
      disk.content = kernelLog(8192, COUNT, ALL, 3);
      const log = await make(`${LOG} 1024 nosync`);
      await assert.rejects(log.resume(), { code: "EIO", message: /version 3/ });
      assert.deepEqual([inSync(log), onDisk()], [[], []]);
    });

    it("a device that has become too short for its bits is reported", async () => {
      const log = await make("/dev/leg0 2", { uuid: "LVM-b" }, 2 * 32768);
      leg0.content = kernelLog(2048, 32768, []);
      await assert.rejects(log.resume(), { code: "EIO", message: /ended at byte 2048/ });
    });

    it("when the device cannot be written, the log goes on as D, and the next flush tries again", async () => {
      disk.content = kernelLog(8192, COUNT, [0, 1]);
      const log = await make();
      disk.failing.add("write");
      await assert.rejects(log.resume(), { code: "EIO", syscall: "write" });
      assert.deepEqual(inSync(log), [0, 1]);
      assert.equal(log.describe().health, "D");
      log.mark([0]);
      await assert.rejects(log.flush(), { code: "EIO" });
      disk.failing.clear();
      await log.flush();
      assert.deepEqual(onDisk(), [1]);
      assert.deepEqual(host.kinds, ["log-device-failed", "log-device-recovered"]);
      assert.equal(log.describe().health, "A");
    });

    it("refuses a log device that is a leg, and leaves it alone", async () => {
      const before = Buffer.from(leg1.content);
      const log = await make("/dev/leg1 1024");
      await assert.rejects(log.resume(), { code: "EINVAL", message: /cannot be on its mirror or on a leg/ });
      log.mark([1]);
      await assert.rejects(log.flush(), { code: "EINVAL" });
      await log.setRegionSync(0, true);
      await round();
      await log.postsuspend();
      assert.deepEqual(leg1.content, before);
      assert.equal(leg1.count("write"), 0);
      assert.deepEqual(host.kinds, ["log-device-failed"]);
      assert.deepEqual([inSync(log), log.status()], [[0], "3 clustered-disk 1:1 D"]);
    });

    it("refuses a log device that is the mirror", async () => {
      const log = await make("253:9 1024");
      await assert.rejects(log.resume(), { code: "EINVAL" });
      assert.equal(host.disks.get("/dev/dm-9")!.count("write"), 0);
    });

    it("opens a failed device anew", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      disk.failing.add("write");
      await assert.rejects(log.setRegionSync(1, false));
      await log.postsuspend();
      disk.failing.clear();
      disk.openModes.length = 0;
      await log.resume();
      assert.deepEqual(disk.openModes, ["rw direct"]);
      assert.deepEqual([disk.opened, log.describe().health], [1, "A"]);
    });

    it("heeds what a predecessor knew when its log device failed", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const old = await resumed();
      disk.failing.add("write");
      await assert.rejects(old.setRegionSync(3, false));
      old.mark([4]);
      await old.postsuspend();
      disk.failing.clear();
      assert.deepEqual(onDisk(), ALL);
      const log = await resumed(`${LOG} 1024`, { luid: 2n, predecessor: () => old });
      assert.deepEqual(
        [inSync(log), onDisk()],
        [
          [0, 1, 2, 5, 6, 7],
          [0, 1, 2, 5, 6, 7],
        ],
      );
    });

    it("heeds nothing of such a predecessor that had other regions, and so has none in sync", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const old = await resumed();
      disk.failing.add("write");
      await assert.rejects(old.setRegionSync(3, false));
      disk.failing.clear();
      disk.content = kernelLog(8192, 4, [0, 1, 2, 3]);
      assert.deepEqual(inSync(await resumed(`${LOG} 2048`, { luid: 2n, predecessor: () => old })), []);
    });

    it("believes the device when the predecessor has written all it knew", async () => {
      const old = await resumed();
      await old.postsuspend();
      disk.content = kernelLog(8192, COUNT, ALL);
      assert.deepEqual(inSync(await resumed(`${LOG} 1024`, { luid: 2n, predecessor: () => old })), ALL);
    });
  });

  describe("a flush", () => {
    it("ends when what was marked is dirty on the device, and writes nothing a second time", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      disk.held.add("write");
      log.mark([2, 5]);
      let ended = false;
      const flush = log.flush().then(() => (ended = true));
      await turns();
      assert.deepEqual([ended, onDisk()], [false, ALL]);
      disk.step();
      await flush;
      assert.deepEqual(onDisk(), [0, 1, 3, 4, 6, 7]);
      log.clear([2]);
      log.mark([2]);
      await log.flush();
      assert.equal(disk.count("write"), 2);
    });

    it("writes the pages that it has to, and no others", async () => {
      const big = host.add("/dev/big", "1:7", 64 * 1024);
      const count = 3 * 32768;
      const log = await resumed("/dev/big 2 nosync", {}, 2 * count);
      big.done.length = 0;
      log.mark([24575, 24576]);
      await log.flush();
      assert.deepEqual(big.done, ["write 4096+4096", "write 0+4096"]);
      log.mark([count - 1]);
      await log.flush();
      assert.deepEqual(big.done.slice(2), ["write 12288+1024"]);
    });

    it("fails with the device, which is reported once, and until it has recovered", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      disk.failing.add("write");
      log.mark([2]);
      await assert.rejects(log.flush(), { name: "Error", code: "EIO", syscall: "write" });
      await assert.rejects(log.flush(), { code: "EIO" });
      assert.deepEqual([host.kinds, log.status()], [["log-device-failed"], "3 clustered-disk 1:2 D"]);
      disk.failing.clear();
      await log.flush();
      assert.deepEqual(onDisk(), [0, 1, 3, 4, 5, 6, 7]);
      assert.deepEqual(host.kinds, ["log-device-failed", "log-device-recovered"]);
      assert.equal(log.status(), "3 clustered-disk 1:2 A");
    });

    it("waits for the write that is under way, and for no leg", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 0);
      leg0.held.add("flush");
      await round();
      assert.equal(leg0.underWay.length, 1);
      log.mark([1]);
      await log.flush();
      assert.deepEqual(onDisk(), [2, 3, 4, 5, 6, 7]);
      disk.held.add("write");
      log.mark([2]);
      const first = log.flush();
      await turns();
      log.mark([3]);
      const second = log.flush();
      await turns();
      assert.equal(disk.underWay.length, 1);
      disk.step();
      await first;
      await turns();
      disk.step();
      await second;
      assert.deepEqual(onDisk(), [4, 5, 6, 7]);
    });
  });

  describe("clears", () => {
    it("come to the device after a while, when the legs have been flushed", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      assert.deepEqual([leg0.openModes, leg1.openModes], [["r"], ["r"]]);
      await write(log, 3);
      await turns();
      assert.deepEqual(onDisk(), [0, 1, 2, 4, 5, 6, 7]);
      leg1.held.add("flush");
      await round();
      assert.deepEqual([leg0.count("flush"), onDisk().includes(3)], [1, false]);
      leg1.step();
      await turns();
      assert.deepEqual(onDisk(), ALL);
      assert.equal(log.describe().dirty, 0);
    });

    it("make a recovered region clean as well", async () => {
      const log = await resumed();
      await log.setRegionSync(4, true);
      assert.deepEqual(onDisk(), []);
      await round();
      assert.deepEqual([onDisk(), leg0.count("flush"), leg1.count("flush")], [[4], 1, 1]);
    });

    it("cost nothing when there are none", async () => {
      const log = await resumed();
      log.mark([1]);
      const { length } = disk.done;
      await round();
      assert.deepEqual([leg0.count("flush"), disk.done.length], [0, length]);
    });

    it("leave out what was marked while the legs were flushed", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      await write(log, 4);
      leg0.held.add("flush");
      await round();
      await write(log, 3);
      leg0.step();
      await turns();
      assert.deepEqual(onDisk(), [0, 1, 2, 4, 5, 6, 7]);
      leg0.held.clear();
      await round();
      assert.deepEqual(onDisk(), ALL);
    });

    it("wait for a flush that lasts, without a second one", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      leg0.held.add("flush");
      await round();
      await round();
      assert.deepEqual([leg0.underWay.length, leg1.count("flush")], [1, 1]);
    });

    it("end with a flush that fails, until the next resume", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      leg0.failing.add("flush");
      await round();
      leg0.failing.clear();
      await round();
      assert.deepEqual([onDisk().includes(3), leg1.count("flush")], [false, 1]);
      assert.equal(log.status(), "3 clustered-disk 1:2 F");
      const [report] = host.reports;
      assert.ok(report?.kind === "leg-flush-failed" && report.device === "/dev/leg0");
      await log.postsuspend();
      assert.equal(onDisk().includes(3), false);
      await log.resume();
      assert.equal(log.status(), "3 clustered-disk 1:2 A");
      await log.setRegionSync(3, true);
      await round();
      assert.deepEqual(onDisk(), ALL);
      assert.equal(host.reports.length, 2, "in sync");
    });

    it("do not come back with another server: what a leg has lost, no later flush brings back", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      leg0.failing.add("flush");
      await round();
      leg0.failing.clear();
      await log.detach();
      const next = await make(`${LOG} 1024`, { origin: "restored", resumed: true });
      await round();
      assert.deepEqual([onDisk().includes(3), next.status()], [false, "3 clustered-disk 1:2 F"]);
      await next.postsuspend();
      assert.equal(onDisk().includes(3), false);
    });

    it("do not come when the legs are not known", async () => {
      host.mirrors = [];
      const log = await resumed();
      assert.deepEqual(host.kinds, ["legs-unknown"]);
      await log.setRegionSync(4, true);
      await round();
      await log.postsuspend();
      assert.deepEqual(onDisk(), []);
    });

    it("do not come when device-mapper does not answer, which holds up a resume for 5 s", async () => {
      host.deaf = true;
      const log = await make();
      const resume = log.resume();
      await turns();
      mock.timers.tick(5000);
      await resume;
      assert.deepEqual(host.kinds, ["legs-unknown"]);
    });

    it("do not come when a leg cannot be opened", async () => {
      host.disks.delete("/dev/leg1");
      const log = await resumed();
      assert.deepEqual([host.kinds, log.describe().health, leg0.opened], [["leg-flush-failed"], "F", 0]);
      await log.setRegionSync(4, true);
      await round();
      assert.deepEqual(onDisk(), []);
    });
  });

  describe("at a suspend", () => {
    it("calls clean what may be, and leaves the device alone from then on", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      log.mark([4]);
      log.presuspend();
      await log.postsuspend();
      assert.deepEqual(onDisk(), [0, 1, 2, 3, 5, 6, 7]);
      assert.deepEqual([leg0.opened, leg1.opened], [0, 0]);
      const { length } = disk.done;
      await round();
      log.mark([5]);
      await assert.rejects(log.flush(), { code: "EIO", message: /not running/ });
      await log.setRegionSync(6, false);
      await log.postsuspend();
      assert.equal(disk.done.length, length);
    });

    it("takes the clears that came after the round that is under way", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      leg0.held.add("flush");
      await round();
      await write(log, 4);
      const suspend = log.postsuspend();
      leg0.held.clear();
      leg0.step();
      await suspend;
      assert.deepEqual(onDisk(), ALL);
    });

    it("waits 5 s for legs that do not answer, and leaves regions dirty then", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      leg0.held.add("flush");
      let ended = false;
      const suspend = log.postsuspend().then(() => (ended = true));
      await turns();
      mock.timers.tick(4999);
      await turns();
      assert.equal(ended, false);
      mock.timers.tick(1);
      await suspend;
      leg0.step();
      await turns();
      assert.deepEqual(onDisk(), [0, 1, 2, 4, 5, 6, 7]);
      assert.deepEqual(host.kinds, ["leg-flush-failed"]);
    });

    it("begins no round any more when legs answer after that, and after the next resume", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      leg0.held.add("flush");
      await round();
      const suspend = log.postsuspend();
      await turns();
      mock.timers.tick(5000);
      await suspend;
      await log.resume();
      await write(log, 4);
      await round();
      // not flushed by the round that is under way
      await write(log, 5);
      leg0.step();
      await turns();
      leg0.step();
      await turns();
      assert.deepEqual(onDisk(), [0, 1, 2, 4, 6, 7]);
    });

    it("waits for a write that is under way: a later one would be to what is another's by then", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      disk.held.add("write");
      log.mark([3]);
      const flush = log.flush();
      await turns();
      let ended = false;
      const suspend = log.postsuspend().then(() => (ended = true));
      await turns();
      mock.timers.tick(5000);
      await turns();
      assert.equal(ended, false);
      disk.step();
      await Promise.all([flush, suspend]);
      assert.equal(disk.underWay.length, 0);
    });
  });

  describe("for resync", () => {
    it("hands out the first region that is not in sync, and the same again until it has been settled", async () => {
      disk.content = kernelLog(8192, COUNT, [0, 2, 3, 4, 6]);
      const log = await resumed();
      assert.deepEqual([log.resyncWork(), log.resyncWork()], [1, 1]);
      await log.setRegionSync(5, true);
      assert.equal(log.resyncWork(), 1);
      await log.setRegionSync(1, true);
      await log.setRegionSync(1, true);
      assert.equal(log.resyncWork(), 7);
      await log.setRegionSync(7, true);
      assert.equal(log.resyncWork(), undefined);
      assert.deepEqual([log.syncCount(), log.remoteRecovering()], [COUNT, { recovering: false, firstUnsynced: COUNT }]);
      assert.deepEqual(host.kinds, ["in-sync"]);
    });

    it("hands out a region that failed at the next resume only, and reports it once", async () => {
      disk.content = kernelLog(8192, COUNT, [0, 1, 2, 3, 4, 5]);
      const log = await resumed();
      assert.equal(log.resyncWork(), 6);
      await log.setRegionSync(6, false);
      await log.setRegionSync(2, false);
      await log.setRegionSync(2, false);
      assert.equal(log.resyncWork(), 7);
      await log.setRegionSync(7, true);
      assert.equal(log.resyncWork(), undefined);
      assert.deepEqual(host.reports, [
        { kind: "region-failed", region: 6 },
        { kind: "region-failed", region: 2 },
      ]);
      await log.postsuspend();
      await log.resume();
      assert.equal(log.resyncWork(), 2);
    });

    it("does not hand out a region that failed before its turn", async () => {
      const log = await resumed();
      await log.setRegionSync(1, false);
      assert.equal(log.resyncWork(), 0);
      await log.setRegionSync(0, true);
      assert.equal(log.resyncWork(), 2);
    });

    it("calls a failed region dirty on the device before it has answered", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await log.setRegionSync(2, false);
      assert.deepEqual(onDisk(), [0, 1, 3, 4, 5, 6, 7]);
      disk.failing.add("write");
      await assert.rejects(log.setRegionSync(3, false), { code: "EIO" });
      assert.deepEqual(host.kinds, ["region-failed", "region-failed", "log-device-failed"]);
    });

    it("hands out nothing while it is paused, and wakes the kernel by a read afterwards", async () => {
      const log = await resumed();
      const mirror = host.disks.get("/dev/dm-9")!;
      log.pauseResync();
      assert.equal(log.resyncWork(), undefined);
      log.resumeResync();
      await turns();
      assert.equal(log.resyncWork(), 0);
      assert.deepEqual([mirror.done, mirror.openModes, mirror.opened], [["read 0+4096"], ["r direct"], 0]);
      log.resumeResync();
      await turns();
      assert.equal(mirror.done.length, 1);
    });

    it("does not wake the kernel when there is nothing to recover, or the mirror is suspended", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const mirror = host.disks.get("/dev/dm-9")!;
      const log = await resumed();
      log.pauseResync();
      log.resumeResync();
      await turns();
      await log.setRegionSync(2, false);
      log.pauseResync();
      host.mirrors[0]!.suspended = true;
      log.resumeResync();
      await turns();
      assert.deepEqual(mirror.openModes, []);
    });

    it("has one read under way at a time, which holds up nothing", async () => {
      const log = await resumed();
      const mirror = host.disks.get("/dev/dm-9")!;
      mirror.held.add("read");
      for (let i = 0; i < 3; i++) {
        log.pauseResync();
        log.resumeResync();
        await turns();
      }
      assert.equal(mirror.underWay.length, 1);
      await log.postsuspend();
      await log.close();
      mirror.step();
      await turns();
      assert.equal(mirror.opened, 0);
    });
  });

  describe("of a server that was restarted", () => {
    it("goes on with what the memory says, without a word to the device", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const old = await resumed();
      await write(old, 3);
      old.mark([5]);
      const { length } = disk.done;
      await old.detach();
      assert.deepEqual([disk.opened, leg0.opened], [0, 0]);
      const log = await make(`${LOG} 1024`, { origin: "restored", resumed: true });
      assert.equal(disk.done.length, length);
      assert.deepEqual([inSync(log), log.describe().marked], [ALL, 1]);
      await log.flush();
      assert.deepEqual(onDisk(), [0, 1, 2, 4, 6, 7]);
      await round();
      assert.deepEqual(onDisk(), [0, 1, 2, 3, 4, 6, 7]);
      assert.deepEqual(log.describe().legs, ["1:0", "1:1"]);
    });

    it("goes on as D when the device is not there, until it is", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      await (await resumed()).detach();
      host.disks.delete(LOG);
      const log = await make(`${LOG} 1024`, { origin: "restored", resumed: true });
      assert.deepEqual([inSync(log), log.status()], [ALL, "3 clustered-disk 0:0 D"]);
      log.mark([1]);
      await assert.rejects(log.flush(), { code: "ENODEV" });
      host.disks.set(LOG, disk);
      await log.flush();
      assert.deepEqual([onDisk(), log.status()], [[0, 2, 3, 4, 5, 6, 7], "3 clustered-disk 1:2 A"]);
    });

    it("leaves a device alone that is a leg", async () => {
      const old = await make("/dev/leg1 1024");
      await assert.rejects(old.resume());
      await old.detach();
      const log = await make("/dev/leg1 1024", { origin: "restored", resumed: true });
      log.mark([1]);
      await assert.rejects(log.flush(), { code: "EINVAL" });
      assert.equal(leg1.count("write"), 0);
    });

    it("changes nothing when it ends in the midst of a round", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await resumed();
      await write(log, 3);
      leg0.held.add("flush");
      await round();
      await log.detach();
      leg0.step();
      await turns();
      assert.deepEqual([onDisk().includes(3), disk.opened, leg1.opened], [false, 0, 0]);
      const next = await make(`${LOG} 1024`, { origin: "restored", resumed: true });
      assert.deepEqual(inSync(next), ALL);
    });
  });

  describe("of a server that ends", () => {
    it("in the midst of a resume, takes up nothing afterwards", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await make();
      host.deaf = true;
      const resume = log.resume();
      await turns();
      await log.detach();
      log.shared.close();
      const failed = assert.rejects(resume, { code: "EIO", message: /not running/ });
      mock.timers.tick(5000);
      await turns();
      await failed;
      assert.deepEqual([disk.opened, leg0.opened, disk.count("write")], [0, 0, 0]);
    });

    it("while it opens the legs, begins no rounds", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const { find } = host;
      let open: () => void = () => undefined;
      const opening = new Promise<void>((resolve) => (open = resolve));
      const context = host.context("clustered-disk", `${LOG} 1024`, LENGTH);
      const log = await DiskLog.create(context, {
        findDevice: async (word) => {
          if (word === "1:0") await opening;
          return find(word);
        },
      });
      const resume = log.resume();
      await turns();
      await log.detach();
      log.shared.close();
      open();
      await turns();
      await resume;
      assert.deepEqual([disk.opened, leg0.opened, leg1.opened], [0, 0, 0]);
      assert.doesNotThrow(() => {
        mock.timers.tick(CLEAR_DELAY);
      });
    });
  });

  describe("of which nothing was left", () => {
    it("has in sync what the device calls clean, reports the rest, and wakes the kernel", async () => {
      disk.content = kernelLog(8192, COUNT, [0, 1, 2]);
      const log = await make(`${LOG} 1024 nosync`, { origin: "rebuilt", resumed: true });
      await turns();
      assert.deepEqual(inSync(log), [0, 1, 2]);
      const hint = "dmsetup suspend --noflush NAME && dmsetup resume NAME";
      assert.deepEqual(host.reports, [{ kind: "resync-blocked", regions: 5, hint }]);
      assert.deepEqual(host.disks.get("/dev/dm-9")!.done, ["read 0+4096"]);
      assert.equal(log.resyncWork(), 3);
    });

    it("reports nothing when all is clean", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      const log = await make(`${LOG} 1024`, { origin: "rebuilt", resumed: true });
      assert.deepEqual([log.syncCount(), host.reports], [COUNT, []]);
    });

    it("has nothing in sync when the device cannot be read", async () => {
      disk.content = kernelLog(8192, COUNT, ALL);
      disk.failing.add("read");
      const log = await make(`${LOG} 1024 nosync`, { origin: "rebuilt", resumed: true });
      assert.deepEqual([inSync(log), onDisk(), host.kinds], [[], [], ["log-device-failed", "resync-blocked"]]);
    });
  });
});
