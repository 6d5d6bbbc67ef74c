// A lockspace that stands still, and one that is lost under its handle: what the library says of it, and what is left.

import assert from "node:assert/strict";
import path from "node:path";

import { Suite } from "./support/suite";

const LS = "doomed";
const TWO_SPACES = path.join(__dirname, "programs", "two-spaces.cjs");

describe("a lockspace that stands still or is taken away, on one node", function () {
  this.timeout(120_000);
  const suite = Suite.on(1, "dlm");

  beforeEach(async () => {
    await suite.shell(1).call(async (node, name) => {
      node.ls = await node.Lockspace.open(name, { create: true });
    }, LS);
  });

  it("stopped for 30 s: told, with locks still held; requests wait, and a kill elsewhere frees its locks", async () => {
    const seen = await suite.shell(1).call(
      async (node, name, program) => {
        const { fs, ls } = node;
        const events: string[] = [];
        let stalledMs = 0;
        ls.on("stall", () => events.push("stall"));
        ls.on("resume", (info) => {
          events.push("resume");
          stalledMs = info.stalledMs;
        });
        const held = await ls.lock("held");
        const { signal } = held;
        // a process with a request asleep in this lockspace and a lock in another
        const second = await node.Lockspace.open("second", { create: true });
        const child = node.childProcess.fork(program, ["second", name], { stdio: "ignore" });
        await new Promise((resolve) => child.once("message", resolve));
        fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "0");
        const from = performance.now();
        await node.until("it is told", () => events.includes("stall"), 5000);
        const state = ls.state;
        const waiting = ls.lock("other");
        child.send("request");
        await node.sleep(1000);
        const before = node.kernelLocks("second").length;
        child.kill("SIGKILL");
        await node.until(
          "the kill has freed its lock in the other lockspace",
          () => node.kernelLocks("second").length === 0,
        );
        const aborted = await ls
          .lock("third", { signal: AbortSignal.timeout(100) })
          .catch((e: unknown) => (e as Error).name);
        await node.sleep(30_000 - (performance.now() - from));
        const during = [ls.state, held.state, signal.aborted, ls.pending];
        fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "1");
        const granted = await waiting;
        await node.until("it is told", () => events.includes("resume"), 5000);
        const exact = Math.abs(stalledMs - (performance.now() - from)) < 3000;
        const after = [ls.state, held.state, granted.mode];
        await second.close();
        await node.Lockspace.remove("second");
        await ls.close();
        await node.Lockspace.remove(name);
        return { events, state, before, aborted, during, exact, after };
      },
      LS,
      TWO_SPACES,
    );
    assert.deepEqual(seen, {
      events: ["stall", "resume"],
      state: "stopped",
      before: 1,
      aborted: "TimeoutError",
      during: ["stopped", "granted", false, 2],
      exact: true,
      after: ["running", "granted", "EX"],
    });
  });

  it("removed by force with another tool: every lock's signal aborts, and the tool is not left hanging", async () => {
    const seen = await suite.shell(1).call(async (node, name) => {
      const { ls } = node;
      const lock = await ls.lock("r");
      const idle = await ls.lock("s", { mode: "NL" });
      const waiting = ls.lock("r").catch((e: unknown) => e as { code: string; message: string });
      const lost = new Promise<Error>((resolve) => ls.once("lost", resolve));
      const { signal } = lock;
      const aborted = new Promise<Error>((resolve) => {
        signal.addEventListener("abort", () => {
          resolve(signal.reason as Error);
        });
      });
      const tool = new Promise<number | null>((resolve) => {
        node.childProcess.execFile("dlm_tool", ["leave", name], (error) => {
          resolve(error === null ? 0 : Number(error.code));
        });
      });
      const reasons = await Promise.all([lost, aborted, waiting]);
      const same = reasons.every((reason) => reason === reasons[0]);
      const { message } = reasons[0];
      const late = (await ls.lock("t").catch((e: unknown) => e)) as { code: string };
      await lock.release();
      await ls.close();
      const status = await tool;
      const gone = !node.fs.existsSync(`/sys/kernel/dlm/${name}`);
      return {
        same,
        message,
        states: [lock.state, idle.state, ls.state],
        late: late.code,
        status,
        gone,
        held: ls.held,
      };
    }, LS);
    assert.match(seen.message, /Lockspace 'doomed' is lost: it was removed on this node/);
    assert.deepEqual(
      { ...seen, message: "" },
      {
        same: true,
        message: "",
        states: ["lost", "lost", "lost"],
        late: "ERR_LOCKSPACE_LOST",
        status: 0,
        gone: true,
        held: 0,
      },
    );
  });
});
