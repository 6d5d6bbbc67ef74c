import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";

import type { Flavour } from "../../../../lib/clog/protocol/requests";
import { KernelDouble, type KernelLog, type KernelTable } from "../kernel-double";

import { Bench } from "./bench";
import type { FakeLog } from "./fake-log";

const REGIONS = 8;
const SLOW = new Set(["flush", "mark", "clear", "resume"]);

// A log that begins with nothing in sync, and loses nothing with its server: it stands for one on a device.
function remember(synced: Set<number>): (log: FakeLog) => void {
  return (log) => {
    log.regionCount = REGIONS;
    log.isClean = log.inSync = (region) => synced.has(region);
    log.syncCount = () => synced.size;
    log.resyncWork = () => [...Array(REGIONS).keys()].find((region) => !synced.has(region));
    log.setRegionSync = (region, inSync) => {
      if (inSync) synced.add(region);
      else synced.delete(region);
    };
    log.remoteRecovering = () => ({ recovering: false, firstUnsynced: 0 });
  };
}

describe("a log server and the kernel", () => {
  const table = (flavour: Flavour, more: Partial<KernelTable> = {}): KernelTable => ({
    ...{ flavour, uuid: "m", length: REGIONS * 1024, type: "clustered-core", args: ["1024"] },
    ...more,
  });
  let bench: Bench;
  let kernel: KernelDouble;
  beforeEach(() => {
    bench = new Bench();
    // it asks again so soon that most requests are asked several times
    kernel = new KernelDouble({ times: { retry: 40 } });
    bench.machine.kernel = kernel;
  });
  afterEach(async () => {
    kernel.close();
    await bench.end();
  });

  async function recover(log: KernelLog): Promise<number> {
    let recovered = 0;
    for (;;) {
      const { result, region } = await log.getResyncWork();
      if (result === 0) return recovered;
      await log.setRegionSync(region, true);
      log.clear(region);
      assert.equal(await log.flush(), 0);
      recovered++;
    }
  }

  async function write(log: KernelLog, region: number): Promise<void> {
    assert.deepEqual([await log.inSync(region), await log.inSync(region)], [1, 1]);
    log.mark(region);
    assert.equal(await log.flush(), 0);
    log.clear(region);
    assert.equal(await log.flush(), 0);
  }

  for (const [what, flavour, more] of [
    ["the mainline's layout", "ulog", {}],
    ["flushes that carry marks", "ulog", { integratedFlush: true }],
    ["the older layout", "clog", {}],
  ] as const) {
    it(`bring a mirror in sync, and keep it so over a server's death, in ${what}`, async () => {
      const synced = new Set<number>();
      const logs = { "clustered-core": bench.workshop.factory };
      bench.workshop.prepare = (log) => {
        remember(synced)(log);
        // slower than the kernel waits, every time
        const gates = { get: (name: string) => (SLOW.has(name) ? delay(60) : undefined) };
        Object.assign(log, { gates });
      };
      await bench.listen({ logs });
      const log = await kernel.ctr(table(flavour, more));
      assert.equal(await log.resume(), 0);
      assert.equal(await recover(log), REGIONS);
      await write(log, 3);

      const dead = bench.server!;
      bench.machine.devices = { errno: -13, syscall: "open" };
      const later = write(log, 5);
      await dead.close();
      bench.machine.kill();
      await bench.listen({ logs });
      await later;
      assert.equal(bench.workshop.last.context.origin, "restored");
      assert.deepEqual(bench.workshop.last.calls.includes("resume"), false);

      assert.equal(await log.presuspend(), 0);
      assert.equal(await log.postsuspend(), 0);
      assert.equal(await log.resume(), 0);
      await write(log, 7);
      assert.equal(await log.presuspend(), 0);
      assert.equal(await log.postsuspend(), 0);
      await log.dtr();
      assert.deepEqual(bench.server!.logs(), []);
      assert.deepEqual(bench.kinds(), []);
      assert.ok(kernel.exchanges.filter(({ reply }) => !reply).length > 20);
    });
  }
});
