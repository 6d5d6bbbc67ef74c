// A log server with the package's own logs and the addon's regions, below the double of the kernel in both layouts. No
// released kernel speaks the older one.
import assert from "node:assert/strict";

import { LogServer, type LogServerOptions } from "../../lib/clog";
import type { Flavour } from "../../lib/clog/protocol/requests";
import { type NativeDmDevice, useAddon } from "../../lib/native";
import { KernelDouble, type KernelLog } from "../unit/clog/kernel-double";
import { FakeMachine, device } from "../unit/clog/server/fake-machine";
import { NO_ADDON } from "../unit/support/no-addon";

import { loadDouble } from "./double";

const { addon } = loadDouble();
const REGIONS = 40;

describe("a log server and the double of the kernel", () => {
  let machine: FakeMachine;
  let kernel: KernelDouble;
  let server: LogServer;
  let devices: NativeDmDevice[];
  beforeEach(async () => {
    machine = new FakeMachine();
    devices = [];
    kernel = new KernelDouble({ times: { retry: 1000, reconnect: 5 } });
    useAddon({
      ...NO_ADDON,
      openLogSocket: kernel.open,
      openRegions: addon.openRegions.bind(addon),
      lockFile: () => 0,
      listDmDevices: (callback) => {
        setImmediate(callback, undefined, devices);
      },
    });
    server = await listen();
  });
  afterEach(async () => {
    await server.close();
    machine.end();
    kernel.close();
  });

  function listen(options?: LogServerOptions): Promise<LogServer> {
    return LogServer.listen({ directory: machine.directory, ...options });
  }

  function load(flavour: Flavour, more: readonly string[] = []): Promise<KernelLog> {
    const uuid = "LVM-double";
    return kernel.ctr({ flavour, uuid, length: REGIONS * 1024, type: "clustered-core", args: ["1024", ...more] });
  }

  for (const flavour of ["ulog", "clog"] as const) {
    it(`${flavour}: resynchronises a mirror, and serves its writes until it is gone`, async () => {
      const log = await load(flavour);
      assert.equal(await log.getSyncCount(), 0); // asked before the resume
      assert.equal(await log.resume(), 0);
      for (let count = 1; count <= REGIONS; count++) {
        const { result, region } = await log.getResyncWork();
        assert.deepEqual([result, await log.inSync(region)], [1, 0]);
        await log.setRegionSync(region, true);
        log.clear(region);
        assert.equal(await log.flush(), 0);
        assert.deepEqual([await log.inSync(region), await log.getSyncCount()], [1, count]);
      }
      assert.equal((await log.getResyncWork()).result, 0);
      assert.equal(await log.isRemoteRecovering(3), 0);
      log.mark(3, 4, 5);
      assert.equal(await log.flush(), 0);
      assert.deepEqual([await log.isClean(3), await log.isClean(6)], [0, 1]);
      assert.equal(await log.statusInfo(), "1 clustered-core");
      const table =
        flavour === "ulog" ? "userspace 3 LVM-double clustered-core 1024 " : "clustered-core 2 1024 LVM-double ";
      assert.equal(await log.statusTable(), table);
      assert.deepEqual([await log.presuspend(), await log.postsuspend()], [0, 0]);
      await log.dtr();
      assert.deepEqual(server.logs(), []);
      assert.ok(kernel.exchanges.some(({ by }) => by === "thread"));
    });

    it(`${flavour}: goes on when its server is another, and knows what was in sync`, async () => {
      const log = await load(flavour, ["nosync"]);
      await log.resume();
      await log.setRegionSync(7, false);
      devices = [device("mirror", { active: await log.statusTable() }, log.length)];
      await server.close();
      const answer = log.inSync(6);
      await kernel.sleep(200);
      server = await listen();
      assert.deepEqual([await answer, await log.inSync(7)], [1, 0]);
      assert.equal(await log.getSyncCount(), REGIONS - 1);
    });

    it(`${flavour}: answers after requests were lost`, async () => {
      const log = await load(flavour, ["nosync"]);
      await log.resume();
      kernel.overrun(1);
      assert.equal(await log.inSync(6), 1);
      kernel.lose(1);
      kernel.times.retry = 20;
      log.mark(6);
      assert.equal(await log.flush(), 0);
      assert.equal(await log.isClean(6), 0);
    });
  }
});
