// Failing log devices and legs: what the kernel is told, what becomes of writes, and that a suspend and a resume recover.

import assert from "node:assert/strict";

import { Bench } from "./clog/bench";
import type { MirrorTable } from "./clog/mirror";
import { Server, type ServerNode } from "./clog/server";
import { itLong } from "../rounds";

const LENGTH = 8192;
const REGION = 128;
const REGIONS = LENGTH / REGION;
const BLOCKS = LENGTH / 8;
const LOG = 64;

const linear = (ram: number, length: number): string => `0 ${length} linear /dev/ram${ram} 0`;
const broken = (length: number): string => `0 ${length} error`;
/** Can be read. */
const readOnly = (ram: number, length: number): string => `0 ${length} flakey /dev/ram${ram} 0 0 3600 1 error_writes`;

describe("clog: failing devices", function () {
  this.timeout(180_000);
  let bench: Bench;
  let server: Server;

  const table = (more: Partial<MirrorTable> = {}): MirrorTable => ({
    length: LENGTH,
    log: "clustered-disk",
    uuid: "faults",
    device: "/dev/mapper/log",
    regionSize: REGION,
    legs: ["/dev/mapper/leg0", "/dev/mapper/leg1"],
    handleErrors: true,
    ...more,
  });
  const checker = (): ReturnType<Bench["checker"]> => bench.checker("/dev/mapper/m", { blocks: BLOCKS });
  const renew = "dmsetup suspend --noflush --nolockfs m; dmsetup resume m";
  /** The same table anew: the kernel forgets a failure of the log or of a leg with the table that it happened to. */
  const heal = async (): Promise<void> => {
    await bench.sh(`dmsetup table m | dmsetup load m; ${renew}`);
  };
  /** Both legs have all that was acknowledged. */
  const settle = async (writing: ReturnType<Bench["checker"]>, errors = 0): Promise<void> => {
    const state = await writing.stop();
    assert.equal(state.errors, errors, writing.complaint);
    await bench.synced("m");
    for (const device of ["/dev/mapper/m", "/dev/ram0", "/dev/ram1"]) await writing.verify(device);
    assert.deepEqual(await bench.differ(table({ legs: ["/dev/ram0", "/dev/ram1"] })), []);
  };
  /** Writes come to no end, and to no error, for 3 s. */
  const held = async (writing: ReturnType<Bench["checker"]>): Promise<void> => {
    const deadline = Date.now() + 30_000;
    for (let last = -1, since = 0; ;) {
      const { errors, writes } = await writing.state();
      assert.equal(errors, 0, writing.complaint);
      if (writes !== last) [last, since] = [writes, Date.now()];
      if (Date.now() > since + 3000) return;
      assert.ok(Date.now() < deadline, "writes go on");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  const reported = (kind: string): Promise<unknown> => server.until(kind, (told) => told.kind === kind);

  before(async () => {
    bench = await Bench.open({ disks: ["1M"] });
  });
  beforeEach(async () => {
    for (const ram of [0, 1, 2]) await bench.fill(`/dev/ram${ram}`, "0", 0, LENGTH + LOG);
    await bench.device("leg0", linear(0, LENGTH));
    await bench.device("leg1", linear(1, LENGTH));
    await bench.device("log", linear(2, LOG));
    server = await Server.start(bench, {}, (node) => {
      const { DiskLog, coreLog } = node.clog;
      Object.assign((node as ServerNode).logs, {
        // regions become clean soon, so that there is always something to write to the log device
        "clustered-disk": (context: Parameters<typeof DiskLog.create>[0]) =>
          DiskLog.create(context, { clearDelay: 300 }),
        "clustered-core": coreLog,
      });
    });
  });
  afterEach(async () => {
    await bench.device("leg0", linear(0, LENGTH));
    await bench.device("leg1", linear(1, LENGTH));
    await bench.device("log", linear(2, LOG));
    await bench.clean();
    await server.stop();
  });
  after(() => bench.end());

  for (const [what, line] of [
    ["is gone", broken(LOG)],
    ["can be read only", readOnly(2, LOG)],
  ] as const) {
    for (const integratedFlush of [false, true]) {
      const test = integratedFlush ? itLong : it;
      test(`the log device ${what}${integratedFlush ? ", integrated_flush" : ""}: writes are held until the table is loaded anew`, async () => {
        await bench.create("m", table({ integratedFlush }));
        await bench.synced("m");
        const writing = checker();
        await writing.progress(100);
        await bench.device("log", line);
        await reported("log-device-failed");
        await held(writing);
        assert.equal((await bench.status("m")).log.health, "D");
        await bench.device("log", linear(2, LOG));
        await bench.sh(renew);
        await held(writing);
        await heal();
        await writing.progress(100);
        assert.equal((await bench.status("m")).log.health, "A");
        await settle(writing);
      });
    }
  }

  it("the log device is gone, without handle_errors: writes go on, unlogged", async () => {
    await bench.create("m", table({ handleErrors: false }));
    await bench.synced("m");
    const writing = checker();
    await writing.progress(100);
    await bench.device("log", broken(LOG));
    await reported("log-device-failed");
    await writing.progress(200);
    assert.equal((await bench.status("m")).log.health, "D");
    await bench.device("log", linear(2, LOG));
    await heal();
    await bench.until("m", "a log that works", ({ log }) => log.health === "A");
    await settle(writing);
  });

  it("the log device is replaced: the new one says all that it has to", async () => {
    await bench.create("m", table());
    await bench.synced("m");
    const writing = checker();
    await writing.progress(100);
    await bench.device("log", broken(LOG));
    await held(writing);
    await bench.fill("/dev/ram3", "0", 0, LOG);
    await bench.sh(`dmsetup table m | sed s,/dev/mapper/log,/dev/ram3, | dmsetup load m; ${renew}`);
    await writing.progress(100);
    const { log } = await bench.status("m");
    assert.deepEqual(log, { type: "clustered-disk", device: "1:3", health: "A" });
    await settle(writing);
  });

  it("the second leg fails: its writes are held, the region is out of sync, and recovered when the leg is back", async () => {
    await bench.create("m", table());
    await bench.synced("m");
    const writing = checker();
    await writing.progress(100);
    await bench.device("leg1", broken(LENGTH));
    await bench.until("m", "a failed leg", ({ health }) => health === "AD");
    await held(writing);
    const { inSync, log } = await bench.status("m");
    assert.ok(inSync < REGIONS);
    assert.equal(log.health, "A");
    await bench.device("leg1", linear(1, LENGTH));
    await heal();
    await writing.progress(100);
    await settle(writing);
  });

  it("the first leg fails: writes are held, and nothing that was acknowledged is lost when it is back", async () => {
    await bench.create("m", table());
    await bench.synced("m");
    const writing = checker();
    await writing.progress(100);
    await bench.device("leg0", broken(LENGTH));
    await bench.until("m", "a failed leg", ({ health }) => health === "DA");
    await held(writing);
    await bench.device("leg0", linear(0, LENGTH));
    await heal();
    await writing.progress(100);
    await settle(writing);
  });

  it("a leg fails, without handle_errors: writes go on to the other, and a resume recovers", async () => {
    await bench.create("m", table({ handleErrors: false }));
    await bench.synced("m");
    const writing = checker();
    await writing.progress(100);
    await bench.device("leg1", broken(LENGTH));
    await bench.until("m", "a failed leg", ({ health }) => health === "AD");
    await writing.progress(200);
    assert.ok((await bench.status("m")).inSync < REGIONS);
    await bench.device("leg1", linear(1, LENGTH));
    await heal();
    await settle(writing);
  });

  it("a leg fails during the resynchronisation: the regions are told, and recovered when it is back", async () => {
    await bench.fill("/dev/ram0", "x", 0, LENGTH);
    // its second half
    const half = LENGTH / 2;
    await bench.device("leg1", `0 ${half} linear /dev/ram1 0\n${half} ${half} error`);
    await bench.create("m", table());
    await bench.until("m", "half of it in sync", ({ inSync }) => inSync === REGIONS / 2);
    await server.until("a failed region", ({ kind, region }) => kind === "region-failed" && region === REGIONS / 2);
    assert.match((await bench.status("m")).health, /^AS$/);
    await bench.device("leg1", linear(1, LENGTH));
    await heal();
    await bench.synced("m");
    assert.deepEqual(await bench.differ(table()), []);
  });

  it("a leg cannot flush its cache: nothing is called clean any more, and writes go on", async () => {
    // What is beyond the mirror's end fails, and a flush is for all of a device. A ram disk has no cache to flush.
    const beyond = `0 ${LENGTH} linear /dev/ram1 0\n${LENGTH} ${LOG} flakey /dev/vda 0 0 3600 1 error_writes`;
    await bench.create("m", table());
    await bench.synced("m");
    const writing = checker();
    await writing.progress(100);
    await bench.device("leg1", beyond);
    await reported("leg-flush-failed");
    await bench.until("m", "a failed flush", ({ log }) => log.health === "F");
    await writing.progress(200);
    const state = await writing.stop();
    assert.equal(state.errors, 0, writing.complaint);
    await bench.sh("sleep 2");
    const dirty = async (): Promise<number | undefined> => (await server.logs())[0]?.description?.dirty;
    assert.ok((await dirty())! > 0);
    await bench.device("leg1", linear(1, LENGTH));
    await heal();
    await bench.until("m", "a log that is well", ({ log }) => log.health === "A");
    await writing.start();
    await writing.progress(50);
    await settle(writing);
    await server.clean("faults");
  });

  it("a core log has no device that could fail, and its legs fail alike", async () => {
    const core = table({ log: "clustered-core", uuid: "faults-core", device: undefined });
    await bench.create("m", core);
    await bench.synced("m");
    const writing = checker();
    await writing.progress(100);
    await bench.device("leg1", broken(LENGTH));
    await bench.until("m", "a failed leg", ({ health }) => health === "AD");
    await held(writing);
    await bench.device("leg1", linear(1, LENGTH));
    await heal();
    await writing.progress(50);
    await settle(writing);
  });
});
