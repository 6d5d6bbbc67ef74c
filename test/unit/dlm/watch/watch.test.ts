import assert from "node:assert/strict";
import fs from "node:fs";

import { Watch, type WatchEvents } from "../../../../lib/dlm/watch/watch";
import { type NativeAddon, native, useAddon } from "../../../../lib/native";

import { FakeAddon } from "../../fs-dlm/watch/fake-addon";
import { FakeSysfs } from "../../fs-dlm/watch/fake-sysfs";
import { openDescriptors, sleep, uncaughtDuring, until } from "../../fs-dlm/watch/support";

describe("the watch over a lockspace", () => {
  let real: NativeAddon;
  let fake: FakeAddon;
  let sysfs: FakeSysfs;
  let told: string[];
  let busy: boolean;
  const watches: Watch[] = [];

  const events: WatchEvents = {
    stalled: () => told.push("stalled"),
    resumed: () => told.push("resumed"),
    members: (now, earlier) => told.push(`members ${earlier.join()} -> ${now.join()}`),
    lost: (why) => told.push(`lost: ${why}`),
  };
  const start = (special: Partial<WatchEvents> = {}): Watch => {
    const watch = new Watch("a", () => busy, { ...events, ...special }, sysfs.root);
    watches.push(watch);
    return watch;
  };
  const REMOVED = "lost: it was removed on this node";

  beforeEach(() => {
    real = native();
    fake = new FakeAddon();
    useAddon(fake.addon);
    sysfs = new FakeSysfs().add("a");
    told = [];
    busy = false;
  });
  afterEach(() => {
    for (const watch of watches.splice(0)) watch.end();
    useAddon(real);
    sysfs.remove();
  });

  describe("sees a removal", () => {
    it("that began before it, soon, but not inside the constructor", async () => {
      sysfs.deregister("a");
      const watch = start();
      assert.deepEqual([watch.state, told], ["gone", []]);
      await until("it is told", () => told.length > 0);
      assert.deepEqual(told, [REMOVED]);
    });

    it("whose announcement was lost", () => {
      start();
      sysfs.deregister("a");
      fake.overflow();
      assert.deepEqual(told, [REMOVED]);
    });

    it("that nobody announces, while there is something to lose", async () => {
      busy = true;
      start().wake();
      sysfs.setRunning("a", false);
      sysfs.deregister("a");
      await until("it is told", () => told.length > 0);
      assert.deepEqual(told, [REMOVED]);
    });

    it("after which the name was given to another", () => {
      const watch = start();
      sysfs.reregister("a");
      assert.equal(watch.state, "gone");
    });

    it("that is announced", () => {
      start();
      fake.announce("offline", "b");
      assert.deepEqual(told, []);
      fake.announce("offline", "a", "a");
      fake.announce("remove", "a");
      assert.deepEqual(told, [REMOVED]);
    });
  });

  describe("takes for no removal", () => {
    it("that no devices can be seen from the beginning", async () => {
      sysfs.hideDevices();
      const watch = start();
      await sleep(5);
      assert.deepEqual([watch.state, told], ["running", []]);
    });

    it("that no devices can be seen any more", () => {
      const watch = start();
      sysfs.hideDevices();
      assert.equal(watch.state, "running");
    });

    it("a lockspace that was never to be seen", async () => {
      const watch = new Watch("elsewhere", () => busy, events, sysfs.root);
      watches.push(watch);
      await sleep(5);
      assert.deepEqual([watch.state, told], [undefined, []]);
    });

    it("a look that fails", () => {
      const watch = start();
      const { statSync } = fs;
      const fail = (): never => {
        throw Object.assign(new Error("no"), { code: "EACCES" });
      };
      Object.assign(fs, { statSync: fail });
      try {
        assert.equal(watch.state, "running");
      } finally {
        Object.assign(fs, { statSync });
      }
    });
  });

  it("does not report the first recovery of a lockspace that has just been made", async () => {
    sysfs.setRunning("a", false);
    start();
    await sleep(5);
    assert.deepEqual(told, []);
  });

  it("sees a stall to its end, whatever showed it and though there is nothing to lose", async () => {
    start();
    sysfs.setRunning("a", false);
    fake.overflow();
    assert.deepEqual(told, ["stalled"]);
    sysfs.setRunning("a", true);
    await until("it is told", () => told.length > 1);
    assert.deepEqual(told, ["stalled", "resumed"]);
  });

  it("goes on when a listener throws, and nobody misses it", async () => {
    busy = true;
    const fail = (): never => {
      throw new Error("from the listener");
    };
    sysfs.setMembers("a", [1]);
    const thrown = await uncaughtDuring(async () => {
      const watch = start({ stalled: fail, resumed: fail, members: fail, lost: fail });
      start();
      await watch.watchMembers();
      watch.wake();
      sysfs.setRunning("a", false);
      await sleep(600);
      sysfs.setRunning("a", true);
      sysfs.setMembers("a", [1, 2]);
      await sleep(600);
      fake.announce("offline", "a");
    });
    assert.deepEqual(thrown, Array(4).fill("from the listener"));
    assert.deepEqual(told, [REMOVED]);
  });

  it("tells each change of the members once", async () => {
    busy = true;
    sysfs.setMembers("a", [2, 1]);
    const watch = start();
    await watch.watchMembers();
    watch.wake();
    sysfs.setMembers("a", [1, 3, 2]);
    for (let i = 0; i < 3; i++) fake.overflow();
    await sleep(600);
    assert.deepEqual(told, ["members 1,2 -> 1,2,3"]);
  });

  describe("leaves nothing behind", () => {
    it("when it ends, at once or later", async () => {
      const open = openDescriptors();
      const [first, second] = [start(), start()];
      first.end();
      second.wake();
      await sleep(5);
      assert.equal(fake.sources, 1);
      second.end();
      second.end();
      second.wake();
      assert.deepEqual([openDescriptors(), fake.sources, second.state], [open, 0, undefined]);
      sysfs.deregister("a");
      await sleep(300);
      assert.deepEqual(told, []);
    });

    const causes = {
      stalled: () => {
        sysfs.setRunning("a", false);
      },
      resumed: () => {
        fake.overflow();
        sysfs.setRunning("a", true);
      },
      members: () => {
        sysfs.setMembers("a", [2]);
      },
      lost: () => {
        sysfs.deregister("a");
      },
    };
    for (const event of ["stalled", "resumed", "members", "lost"] as const) {
      it(`when it is ended by who is told: ${event}`, async () => {
        busy = true;
        const open = openDescriptors();
        sysfs.setMembers("a", [1]);
        sysfs.setRunning("a", event !== "resumed");
        const watch: Watch = start({
          [event]: () => {
            told.push(event);
            watch.end();
          },
        });
        await watch.watchMembers();
        causes[event]();
        fake.overflow();
        await until("it is told", () => told.includes(event));
        const heard = [...told];
        sysfs.setRunning("a", event === "stalled");
        sysfs.setMembers("a", [1, 2, 3]);
        fake.overflow();
        await sleep(300);
        assert.deepEqual([told, openDescriptors(), fake.sources], [heard, open, 0]);
      });
    }

    it("when it cannot begin", () => {
      const open = openDescriptors();
      fake.failures = 1;
      assert.throws(() => start(), /Too many open files/);
      assert.equal(openDescriptors(), open);
      start();
      fake.announce("offline", "a");
      assert.deepEqual(told, [REMOVED]);
    });

    it("when its last step fails", () => {
      const open = openDescriptors();
      fake.answers = [
        () => {
          throw new Error("no more");
        },
      ];
      assert.throws(() => start(), /no more/);
      assert.deepEqual([openDescriptors(), fake.sources], [open, 0]);
    });
  });
});
