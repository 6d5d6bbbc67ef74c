import assert from "node:assert/strict";
import path from "node:path";

import { seed } from "./support/seed";
import { Suite } from "./support/suite";

const LS = "pair";

// What needs a second node: a lock passed on, a remote master, value blocks and notices across the wire.
describe("fs/dlm on two nodes", function () {
  this.timeout(120_000);
  const suite = Suite.on(2, "dlm", async (on) => {
    for (const n of [1, 2]) {
      await on.shell(n).call(async (node) => node.ls.close());
    }
    for (const n of [1, 2]) {
      await on.shell(n).call(async (node, name) => {
        await node.until("no lock is left", () => node.kernelLocks(name).length === 0, 5000);
      }, LS);
    }
    for (const n of [1, 2]) await on.shell(n).call((node, name) => node.Lockspace.remove(name), LS);
  });

  beforeEach(async () => {
    for (const n of [1, 2]) {
      await suite.shell(n).call(async (node, name) => {
        node.ls = await node.Lockspace.open(name, { create: true });
      }, LS);
    }
  });

  // Whichever node asks first becomes the master of a resource: each story is told from both sides.
  for (const [master, other] of [
    [1, 2],
    [2, 1],
  ] as const) {
    describe(`with node ${master} as the resource's master`, () => {
      beforeEach(async () => {
        await suite.shell(master).call(async (node) => {
          node.locks["keeper"] = await node.ls.lock("r", { mode: "NL", lvb: true });
        });
      });

      it("hands over the lock, the value and the notice", async () => {
        const a = suite.shell(master);
        const b = suite.shell(other);
        await a.call(async (node) => {
          const told: string[] = [];
          node.locks["ex"] = await node.ls.lock("r", {
            lvb: Buffer.from("from the first"),
            onBlocking: (mode, lock) => {
              told.push(mode);
              (lock as unknown as { told: string[] }).told = told;
              void lock.convert("NL");
            },
          });
        });
        const got = await b.call(async (node) => {
          const lock = await node.ls.lock("r", { lvb: true, signal: AbortSignal.timeout(20_000) });
          const value = Buffer.from(lock.lvb ?? [])
            .toString()
            .replace(/\0+$/, "");
          const { lvbValid, mode } = lock;
          await lock.release({ lvb: Buffer.from("from the second") });
          return { value, lvbValid, mode };
        });
        assert.deepEqual(got, { value: "from the first", lvbValid: true, mode: "EX" });
        const back = await a.call(async (node) => {
          const { ex, keeper } = node.locks;
          if (!ex || !keeper) throw new Error("lost");
          const { told } = ex as unknown as { told: string[] };
          await keeper.convert("PR");
          return {
            told,
            mode: ex.mode,
            value: Buffer.from(keeper.lvb ?? [])
              .toString()
              .replace(/\0+$/, ""),
          };
        });
        assert.deepEqual(back, { told: ["EX"], mode: "NL", value: "from the second" });
      });

      it("a value never written reads as zeros, not as an echo", async () => {
        const read = await suite.shell(other).call(async (node) => {
          const lock = await node.ls.lock("r", { mode: "NL" });
          await lock.convert("EX", { lvb: Buffer.from("mine") });
          return [Buffer.from(lock.lvb ?? []).toString("hex"), lock.lvbValid];
        });
        assert.deepEqual(read, ["00".repeat(32), true]);
      });

      it("trylock answers for the cluster", async () => {
        const attempt = (): Promise<string | undefined> =>
          suite.shell(other).call(async (node) => {
            const lock = await node.ls.tryLock("r");
            await lock?.release();
            return lock?.mode;
          });
        assert.equal(await attempt(), "EX");
        await suite.shell(master).call(async (node) => {
          node.locks["ex"] = await node.ls.lock("r", { mode: "PR" });
        });
        assert.equal(await attempt(), undefined);
      });

      it("an abort of a waiting request takes it out of the master's queue", async () => {
        await suite.shell(master).call(async (node) => {
          node.locks["ex"] = await node.ls.lock("r");
        });
        const outcome = await suite.shell(other).call(async (node) =>
          node.ls.lock("r", { signal: AbortSignal.timeout(300) }).then(
            () => "granted",
            (error: unknown) => (error as Error).name,
          ),
        );
        assert.equal(outcome, "TimeoutError");
        await suite.shell(master).call(async (node, name) => {
          await node.until("only our own two are left", () => node.kernelLocks(name).length === 2);
        }, LS);
      });

      it("a killed process's value is flagged on the other node", async () => {
        await suite.shell(other).call(async (node) => {
          node.locks["nl"] = await node.ls.lock("r", { mode: "NL", lvb: true });
        });
        const killer = suite.shell(master);
        await killer.call(
          async (node, name, program) => {
            const { fork } = node.childProcess;
            const child = fork(program, [name, "r"], { stdio: "ignore" });
            await new Promise((resolve) => child.once("message", resolve));
            node.children.push(child);
          },
          LS,
          path.join(__dirname, "programs/writes.cjs"),
        );
        const waiting = suite.shell(other).call(async (node) => {
          const lock = await node.ls.lock("r", { lvb: true, signal: AbortSignal.timeout(20_000) });
          return [lock.mode, lock.lvbValid];
        });
        await killer.call((node) => node.children.every((child) => child.kill("SIGKILL")));
        assert.deepEqual(await waiting, ["EX", false]);
      });
    });
  }

  // The holder is on the master's side and the wire is slow, so that grants and cancels really cross on it: then the
  // kernel answers EBUSY to the unlock of what was granted, until its answer to the cancel has come.
  it("300 aborts crossing grants on a slow wire leak no lock on either node", async function () {
    this.timeout(240_000);
    const { stdout } = await suite.run(1, "ip", "-o", "route", "get", "10.0.0.2");
    const device = /dev (\S+)/.exec(stdout)?.[1] ?? "";
    for (const n of [1, 2]) {
      assert.equal((await suite.run(n, "tc", "qdisc", "add", "dev", device, "root", "netem", "delay", "10ms")).code, 0);
    }
    const from = seed();
    const holding = suite.shell(1).call(async (node, start) => {
      const random = node.dice(start);
      for (let round = 0; round < 300; round++) {
        const gone = await node.ls.lock("contended");
        await node.sleep(random() * 10);
        await gone.release();
        await node.sleep(random() * 40);
      }
    }, from + 1);
    const counts = await suite.shell(2).call(async (node, start) => {
      const random = node.dice(start);
      const reason = new Error("raced");
      const seen = { aborted: 0, granted: 0 };
      for (let round = 0; round < 300; round++) {
        const abort = new AbortController();
        const request = node.ls.lock("contended", { signal: abort.signal });
        await node.sleep(random() * 60);
        abort.abort(reason);
        try {
          await (await request).release();
          seen.granted++;
        } catch (error) {
          if (error !== reason) throw error;
          seen.aborted++;
        }
      }
      await node.until("no request is unsettled", () => node.ls.pending === 0);
      return seen;
    }, from);
    await holding;
    for (const n of [1, 2]) await suite.run(n, "tc", "qdisc", "del", "dev", device, "root");
    assert.equal(counts.aborted + counts.granted, 300);
    assert.ok(counts.aborted > 10 && counts.granted > 10, `seed ${from}: ${JSON.stringify(counts)}`);
    for (const n of [1, 2]) {
      await suite.shell(n).call(async (node, name) => {
        await node.until("no lock is left", () => node.kernelLocks(name).length === 0);
      }, LS);
    }
  });

  it("both nodes contend for one resource without loss, in the resource's own value", async () => {
    const work = (n: number): Promise<void> =>
      suite.shell(n).call(async (node) => {
        node.locks["keeper"] = await node.ls.lock("count", { mode: "NL", lvb: true });
        for (let round = 0; round < 100; round++) {
          const lock = await node.ls.lock("count", { lvb: true });
          const next = new Uint8Array(32);
          new DataView(next.buffer).setUint32(0, new DataView(lock.lvb?.buffer ?? next.buffer).getUint32(0) + 1);
          await lock.release({ lvb: next });
        }
      });
    await Promise.all([work(1), work(2)]);
    const total = await suite.shell(1).call(async (node) => {
      const lock = await node.ls.lock("count", { mode: "PR", lvb: true });
      return [new DataView((lock.lvb ?? new Uint8Array(4)).buffer).getUint32(0), lock.lvbValid];
    });
    assert.deepEqual(total, [200, true]);
  });

  it("a node leaves although others hold locks on what it masters, and they keep them", async () => {
    await suite.shell(1).call(async (node) => {
      await (await node.ls.lock("mastered")).release();
      node.locks["mine"] = await node.ls.lock("mastered", { mode: "NL" });
    });
    await suite.shell(2).call(async (node) => {
      node.locks["theirs"] = await node.ls.lock("mastered", { mode: "PR" });
    });
    await suite.shell(1).call(async (node, name) => {
      await node.ls.close();
      await node.Lockspace.remove(name);
      node.ls = await node.Lockspace.open(name, { create: true });
    }, LS);
    const denied = await suite.shell(1).call(async (node) => (await node.ls.tryLock("mastered")) === null);
    assert.ok(denied, "the other node's PR is still there after this one left and came back");
  });

  it("a value goes with the master that leaves, and the next reader is told", async () => {
    await suite.shell(1).call(async (node) => {
      node.locks["keeper"] = await node.ls.lock("kept", { mode: "NL", lvb: true });
    });
    await suite.shell(2).call(async (node) => {
      node.locks["keeper"] = await node.ls.lock("kept", { mode: "NL", lvb: true });
    });
    await suite.shell(1).call(async (node, name) => {
      await (await node.ls.lock("kept", { lvb: Buffer.from("only the master has it") })).release();
      await node.ls.close();
      await node.Lockspace.remove(name);
    }, LS);
    const valid = await suite.shell(2).call(async (node) => {
      const lock = await node.ls.lock("kept", { mode: "PR", lvb: true, signal: AbortSignal.timeout(20_000) });
      return lock.lvbValid;
    });
    await suite.shell(1).call(async (node, name) => {
      node.ls = await node.Lockspace.open(name, { create: true });
    }, LS);
    assert.equal(valid, false);
  });
});
