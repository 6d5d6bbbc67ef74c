import assert from "node:assert/strict";

import { CoreLog } from "../../../../lib/clog/log/core-log";
import type { LogContext } from "../../../../lib/clog/log/dirty-log";
import { useAddon } from "../../../../lib/native";

import { FakeHost, turns } from "./fake-host";

const ALL = [0, 1, 2, 3, 4, 5, 6, 7];

describe("a core log", () => {
  let host: FakeHost;

  beforeEach(() => {
    host = new FakeHost();
    host.mirror("LVM-a", "clustered-core 1024", ["1:0", "1:1"]);
  });
  afterEach(() => {
    useAddon(undefined);
  });

  const make = (words = "1024", changes: Partial<LogContext> = {}): CoreLog =>
    CoreLog.create(host.context("clustered-core", words, 8192, changes), { findDevice: host.find });

  const resumed = (words?: string, changes?: Partial<LogContext>): CoreLog => {
    const log = make(words, changes);
    log.resume();
    return log;
  };

  const inSync = (log: CoreLog): number[] => ALL.filter((region) => log.inSync(region));

  it("begins with nothing in sync, with `sync` too, and with all of it of `nosync`", () => {
    assert.deepEqual(inSync(resumed()), []);
    assert.deepEqual(inSync(resumed("1024 sync", { luid: 2n })), []);
    assert.deepEqual(inSync(resumed("1024 nosync", { luid: 3n })), ALL);
  });

  it("counts nothing as in sync before the resume", () => {
    const log = make("1024 nosync");
    assert.deepEqual([log.syncCount(), inSync(log), log.isClean(0), log.resyncWork()], [0, [], false, undefined]);
  });

  it("keeps what is in sync over a suspend, and neither `sync` nor `nosync` counts again", () => {
    const log = resumed("1024 sync");
    log.setRegionSync(3, true);
    log.postsuspend();
    log.resume();
    assert.deepEqual(inSync(log), [3]);
    const other = resumed("1024 nosync", { luid: 2n });
    other.setRegionSync(3, false);
    other.postsuspend();
    other.resume();
    assert.deepEqual([inSync(other), other.resyncWork()], [[0, 1, 2, 4, 5, 6, 7], 3]);
  });

  it("has a region recovered that is still marked after a suspend", () => {
    const log = resumed("1024 nosync");
    log.mark([2, 3]);
    log.flush();
    log.clear([3]);
    log.presuspend();
    log.postsuspend();
    log.resume();
    assert.deepEqual([inSync(log), log.describe().marked], [[0, 1, 3, 4, 5, 6, 7], 0]);
  });

  it("is clean where it is in sync and not marked", () => {
    const log = resumed("1024 nosync");
    log.mark([2]);
    assert.deepEqual([log.isClean(2), log.isClean(3), log.inSync(2)], [false, true, true]);
    log.clear([2]);
    assert.equal(log.isClean(2), true);
  });

  it("is recovered region by region, which is told at the end", () => {
    const log = resumed();
    for (const region of ALL) {
      assert.equal(log.remoteRecovering().firstUnsynced, region);
      assert.equal(log.resyncWork(), region);
      log.setRegionSync(region, true);
    }
    assert.deepEqual([log.resyncWork(), log.syncCount(), host.kinds], [undefined, 8, ["in-sync"]]);
  });

  it("can be told to hand out nothing for a while", async () => {
    const log = resumed();
    log.pauseResync();
    assert.equal(log.resyncWork(), undefined);
    log.resumeResync();
    await turns();
    assert.equal(log.resyncWork(), 0);
    assert.deepEqual(host.disks.get("/dev/dm-9")!.done, ["read 0+4096"]);
  });

  it("goes on with what memory says when the server was restarted", () => {
    const old = resumed();
    old.setRegionSync(3, true);
    old.detach();
    const log = make("1024", { origin: "restored", resumed: true });
    assert.deepEqual(inSync(log), [3]);
    log.postsuspend();
    const suspended = make("1024", { origin: "restored", resumed: false });
    assert.equal(suspended.syncCount(), 0);
    suspended.resume();
    assert.deepEqual(inSync(suspended), [3]);
  });

  it("has nothing in sync when nobody knows any more, and reports it", async () => {
    const log = make("1024 nosync", { origin: "rebuilt", resumed: true });
    await turns();
    assert.deepEqual([inSync(log), log.resyncWork()], [[], 0]);
    const hint = "dmsetup suspend --noflush NAME && dmsetup resume NAME";
    assert.deepEqual(host.reports, [{ kind: "resync-blocked", regions: 8, hint }]);
    assert.equal(host.disks.get("/dev/dm-9")!.done.length, 1);
  });

  it("has a status line of one word, and no device", () => {
    const log = resumed("1024 nosync");
    log.mark([1]);
    assert.equal(log.status(), "1 clustered-core");
    const nothing = { dirty: 0, health: "A", legs: [], logDevice: undefined };
    assert.deepEqual(log.describe(), { inSync: 8, marked: 1, ...nothing });
    assert.equal("device" in log, false);
  });

  it("is refused with wrong words", () => {
    assert.throws(() => make("1000"), { code: "EINVAL" });
    assert.throws(() => make("/dev/x 1024"), { code: "EINVAL" });
  });
});
