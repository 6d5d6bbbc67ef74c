import assert from "node:assert/strict";

import { ServiceManager } from "../../../../lib/clog/daemon/notify";
import { useAddon } from "../../../../lib/native";
import { NO_ADDON } from "../../support/no-addon";

describe("what systemd is told", () => {
  let sent: string[];
  beforeEach(() => {
    sent = [];
    useAddon({
      ...NO_ADDON,
      sendDatagram: (path, text) => {
        assert.equal(path, "@notify");
        sent.push(text);
        return 0;
      },
    });
  });

  afterEach(() => {
    useAddon(undefined);
  });

  const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it("is nothing without a socket, or with one of another family", () => {
    for (const socket of [undefined, "", "@", "vsock:2:1234"]) {
      const manager = ServiceManager.from({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: "1000" });
      manager.ready("fine");
      manager.status("better");
      manager.stopping();
    }
    assert.deepEqual(sent, []);
  });

  it("is the state once, and the status when it has changed, at most once a second", async () => {
    const env = { NOTIFY_SOCKET: "@notify", OTHER: "stays" };
    const manager = ServiceManager.from(env);
    assert.deepEqual(env, { OTHER: "stays" });
    manager.ready("no mirrors");
    manager.status("1 mirror");
    manager.status("2 mirrors");
    await later(1_100);
    manager.status("2 mirrors");
    await later(1_100);
    manager.status("never told");
    manager.stopping();
    await later(1_100);
    assert.deepEqual(sent, ["READY=1\nSTATUS=no mirrors", "STATUS=2 mirrors", "STOPPING=1"]);
  });

  it("is that the loop runs, twice in the watchdog's time, until it stops", async () => {
    const manager = ServiceManager.from({
      NOTIFY_SOCKET: "@notify",
      WATCHDOG_USEC: "100000",
      WATCHDOG_PID: String(process.pid),
    });
    await later(200);
    assert.equal(sent.length, 0);
    manager.ready("fine");
    await later(500);
    manager.stopping();
    const fed = sent.filter((told) => told === "WATCHDOG=1").length;
    assert.ok(fed >= 3, `${fed} times`);
    await later(200);
    assert.equal(sent.at(-1), "STOPPING=1");
  });

  it("is nothing of a watchdog that watches another process", async () => {
    const manager = ServiceManager.from({ NOTIFY_SOCKET: "@notify", WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" });
    manager.ready("fine");
    await later(50);
    assert.deepEqual(sent, ["READY=1\nSTATUS=fine"]);
    manager.stopping();
  });
});
