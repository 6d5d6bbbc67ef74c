import assert from "node:assert/strict";

import { onAnnouncement } from "../../../../lib/fs-dlm/watch/announcements";
import { type NativeAddon, native, useAddon } from "../../../../lib/native";

import { FakeAddon } from "./fake-addon";
import { uncaughtDuring } from "./support";

describe("the kernel's announcements, shared out", () => {
  let real: NativeAddon;
  let fake: FakeAddon;
  let heard: string[];
  const ends: (() => void)[] = [];
  const listen = (who: string, lockspace: string, then: () => void = () => undefined): (() => void) => {
    const end = onAnnouncement(lockspace, (action) => {
      heard.push(`${who}: ${action ?? "overflow"}`);
      then();
    });
    ends.push(end);
    return end;
  };

  beforeEach(() => {
    real = native();
    fake = new FakeAddon();
    useAddon(fake.addon);
    heard = [];
  });
  afterEach(() => {
    for (const end of ends.splice(0)) end();
    useAddon(real);
  });

  it("come through one socket, open for as long as anybody listens", () => {
    const first = listen("first", "a");
    const second = listen("second", "b");
    fake.announce("online", "a", "b", "c");
    assert.deepEqual(heard, ["first: online", "second: online"]);
    first();
    first();
    assert.equal(fake.sources, 1);
    second();
    assert.equal(fake.sources, 0);
    listen("third", "a");
    assert.equal(fake.sources, 1);
  });

  it("reach others when one throws", async () => {
    const fail = (): never => {
      throw new Error("from the listener");
    };
    listen("first", "a", fail);
    listen("second", "a");
    listen("third", "b");
    const thrown = await uncaughtDuring(() => {
      fake.announce("offline", "a", "b");
      fake.overflow();
    });
    assert.deepEqual(heard, [
      ...["first: offline", "second: offline", "third: offline"],
      ...["first: overflow", "second: overflow", "third: overflow"],
    ]);
    assert.deepEqual(thrown, ["from the listener", "from the listener"]);
  });

  it("reach nobody who has left meanwhile, nor who has only just come", () => {
    listen("first", "a", () => {
      ends[1]?.();
      if (ends.length < 3) listen("third", "a");
    });
    listen("second", "a");
    fake.announce("offline", "a");
    assert.deepEqual(heard, ["first: offline"]);
  });

  it("are nobody's after a socket that could not be had", () => {
    fake.failures = 1;
    assert.throws(() => listen("first", "a"), /Too many open files/);
    listen("second", "a");
    fake.announce("offline", "a");
    assert.deepEqual(heard, ["second: offline"]);
  });
});
