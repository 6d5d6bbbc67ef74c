import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

import { watchDomain } from "../../../lib/dlmfs/watch";
import { ROOTS } from "../../../lib/fs-dlm/inspect/roots";
import { native, useAddon } from "../../../lib/native";
import { FakeAddon } from "../fs-dlm/watch/fake-addon";
import { FakeSysfs } from "../fs-dlm/watch/fake-sysfs";
import { openDescriptors, sleep, uncaughtDuring, until } from "../fs-dlm/watch/support";

// Plain directories in the place of the kernel's file systems; a thread ends by losing its name.
describe("the watch over a domain", () => {
  const roots = { ...ROOTS };
  const addon = native();
  let fake: FakeAddon;
  let sysfs: FakeSysfs;
  let told: string[];
  let ends: (() => void)[];

  beforeEach(() => {
    fake = new FakeAddon();
    sysfs = new FakeSysfs();
    told = [];
    ends = [];
    Object.assign(ROOTS, { sysfs: sysfs.root, configfs: at("config"), proc: at("proc"), faked: true });
    useAddon(fake.addon);
  });
  afterEach(() => {
    for (const end of ends) end();
    useAddon(addon);
    Object.assign(ROOTS, roots);
    sysfs.remove();
  });

  const at = (place: string): string => path.join(sysfs.root, place);
  const put = (place: string, text: string): void => {
    fs.mkdirSync(path.dirname(at(place)), { recursive: true });
    fs.writeFileSync(at(place), text);
  };
  const watch = (stack: "o2cb" | "fs/dlm", name: string): (() => void) => {
    const end = watchDomain(
      stack,
      name,
      (why) => told.push(`${name} lost: ${why}`),
      (stalled) => told.push(`${name} ${stalled ? "stands still" : "goes on"}`),
    );
    ends.push(end);
    return end;
  };
  const looks = (): Promise<void> => sleep(700);

  describe("on o2cb", () => {
    beforeEach(() => {
      fs.mkdirSync(at("proc/self/ns"), { recursive: true });
      fs.symlinkSync("pid:[4026531836]", at("proc/self/ns/pid"));
      put("config/cluster/lab/node/n1/local", "1\n");
      put("config/cluster/lab/node/n2/local", "0\n");
      put("config/cluster/lab/heartbeat/mode", "local\n");
      region("A", 100);
    });
    function region(name: string, pid: number): void {
      put(`config/cluster/lab/heartbeat/${name}/pid`, `${pid}\n`);
      put(`proc/${pid}/comm`, "o2hb-0123456789\n");
    }
    const endThread = (pid: number): void => {
      fs.truncateSync(at(`proc/${pid}/comm`));
    };

    it("tells all domains that the heartbeat has ended, once", async () => {
      watch("o2cb", "a");
      watch("o2cb", "b");
      await looks();
      assert.equal(told.length, 0, told.join());
      endThread(100);
      await until("it is told", () => told.length > 0);
      await looks();
      const why = "lost: this node's heartbeat was ended, and the other nodes take its locks over";
      assert.deepEqual(told.sort(), [`a ${why}`, `b ${why}`]);
    });

    it("does not ask the kernel again for a thread that has ended", async () => {
      watch("o2cb", "a");
      await looks();
      endThread(100);
      // what a stale pointer would say
      put("config/cluster/lab/heartbeat/A/pid", "101\n");
      put("proc/101/comm", "o2hb-of-nobody\n");
      await until("it is told", () => told.length > 0);
    });

    it("is content with any region's heartbeat, also one that came later", async () => {
      watch("o2cb", "a");
      await looks();
      region("B", 200);
      endThread(100);
      await looks();
      assert.equal(told.length, 0, told.join());
      endThread(200);
      await until("it is told", () => told.length > 0);
    });

    it("tells whoever begins to watch when it is too late", async () => {
      put("config/cluster/lab/node/n1/local", "0\n");
      watch("o2cb", "a");
      await until("it is told", () => told.length > 0);
      watch("o2cb", "a");
      await until("it is told again", () => told.length > 1);
    });

    it("tells whoever begins to watch when only the number of the thread is left", async () => {
      fs.rmSync(at("proc/100"), { recursive: true });
      watch("o2cb", "a");
      await until("it is told", () => told.length > 0);
    });

    it("tells nothing where nothing can be told", async () => {
      fs.rmSync(at("config"), { recursive: true });
      watch("o2cb", "a");
      await looks();
      assert.equal(told.length, 0, told.join());
    });

    it("tells nothing in a namespace whose process ids are others", async () => {
      fs.rmSync(at("proc/self/ns/pid"));
      fs.symlinkSync("pid:[4026532000]", at("proc/self/ns/pid"));
      fs.rmSync(at("proc/100"), { recursive: true });
      watch("o2cb", "a");
      await looks();
      assert.equal(told.length, 0, told.join());
    });

    it("leaves nothing open, and tells nobody who has gone", async () => {
      const before = openDescriptors();
      const end = watch("o2cb", "a");
      watch("o2cb", "b");
      await looks();
      end();
      endThread(100);
      await until("the other one is told", () => told.length > 0);
      await looks();
      assert.deepEqual(told.length, 1);
      for (const last of ends) last();
      assert.deepEqual(openDescriptors(), before);
    });

    it("tells the others when one throws", async () => {
      ends.push(
        watchDomain("o2cb", "a", () => {
          throw new Error("thrown by a listener");
        }),
      );
      watch("o2cb", "b");
      await looks();
      const thrown = await uncaughtDuring(async () => {
        endThread(100);
        await until("the other one is told", () => told.length > 0);
      });
      assert.deepEqual(thrown, ["thrown by a listener"]);
    });
  });

  describe("on fs/dlm", () => {
    beforeEach(() => {
      sysfs.add("d");
      // a mount's lockspace has none
      sysfs.deregister("d");
    });

    it("tells that it stands still and goes on", async () => {
      watch("fs/dlm", "d");
      await looks();
      sysfs.setRunning("d", false);
      await until("it stands still", () => told.length === 1);
      sysfs.setRunning("d", true);
      await until("it goes on", () => told.length === 2);
      assert.deepEqual(told, ["d stands still", "d goes on"]);
    });

    it("tells that it was removed, once, and of no other", () => {
      sysfs.add("e");
      watch("fs/dlm", "d");
      watch("fs/dlm", "e");
      fake.announce("offline", "d");
      fake.announce("remove", "d");
      assert.deepEqual(told, ["d lost: its lockspace was removed on this node"]);
    });

    it("serves all who ask with one socket, and closes it after the last", () => {
      const before = openDescriptors();
      const [first, second] = [watch("fs/dlm", "d"), watch("fs/dlm", "d")];
      assert.equal(fake.sources, 1);
      first();
      first();
      assert.equal(fake.sources, 1);
      second();
      assert.equal(fake.sources, 0);
      assert.deepEqual(openDescriptors(), before);
    });

    it("that cannot be had leaves nothing open", () => {
      fake.failures = 1;
      const before = openDescriptors();
      assert.throws(() => watch("fs/dlm", "d"), /Too many open files/);
      assert.deepEqual(openDescriptors(), before);
      watch("fs/dlm", "d");
    });
  });
});
