// What the guide promises of a domain, the same on both stacks: two nodes of o2cb, and two of fs/dlm through stackglue.

import assert from "node:assert/strict";

import { rounds } from "../rounds";
import type { Shell } from "./support/shell";
import { Suite } from "./support/suite";

const STACKS = ["o2cb", "dlmfs-dlm"] as const;

async function open(shell: Shell, name: string, options: object = {}): Promise<void> {
  await shell.call(
    async (node, domain, given) => {
      node.domain = await node.Domain.open(domain, { create: true, allowClusterNameWorkaround: true, ...given });
    },
    name,
    options,
  );
}

/** Holds a lock under a name of the test's own choice. */
async function hold(shell: Shell, lock: string, mode: "PR" | "EX", as = "it"): Promise<void> {
  await shell.call(
    async (node, name, wanted, key) => {
      node.held[key] = await node.domain.lock(name, { mode: wanted, signal: AbortSignal.timeout(30_000) });
    },
    lock,
    mode,
    as,
  );
}

async function release(shell: Shell, as = "it"): Promise<void> {
  await shell.call(async (node, key) => node.held[key]!.release(), as);
}

/** Asks for a lock and does not wait for it; `granted()` tells whether it has come. */
async function ask(shell: Shell, lock: string, mode: "PR" | "EX", as = "it"): Promise<void> {
  await shell.call(
    (node, name, wanted, key) => {
      void node.domain.lock(name, { mode: wanted }).then((lock) => {
        node.held[key] = lock;
      });
    },
    lock,
    mode,
    as,
  );
}

const granted = async (shell: Shell, as = "it"): Promise<boolean> =>
  shell.call((node, key) => node.held[key] !== undefined, as);

async function becomesGranted(shell: Shell, as = "it"): Promise<void> {
  await shell.call(async (node, key) => node.until("it is granted", () => node.held[key] !== undefined), as);
}

const pause = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

for (const stack of STACKS) {
  describe(`a domain on two nodes, stack ${stack}`, function () {
    this.timeout(60_000);
    const suite = Suite.on(2, stack);
    let one: Shell;
    let two: Shell;

    beforeEach(async () => {
      one = suite.shell(1);
      two = suite.shell(2);
      await Promise.all([one, two].map(async (shell) => open(shell, "tests")));
    });

    it("keeps nodes apart in EX, lets readers share, and hands locks over", async () => {
      await hold(one, "x", "EX");
      await ask(two, "x", "PR");
      await pause(700);
      assert.equal(await granted(two), false);
      await release(one);
      await becomesGranted(two);
      await hold(one, "x", "PR", "second");
      await ask(one, "y", "EX", "free");
      await becomesGranted(one, "free");
      await release(one, "second");
      await ask(one, "x", "EX", "third");
      await pause(700);
      assert.equal(await granted(one, "third"), false);
      await release(two);
      await becomesGranted(one, "third");
    });

    it("hands values over, both ways, whole and padded", async () => {
      const write = async (shell: Shell, text: string): Promise<void> => {
        await hold(shell, "v", "EX");
        await shell.call(async (node, value) => node.held["it"]!.writeLvb(Buffer.from(value)), text);
        await release(shell);
      };
      const read = async (shell: Shell): Promise<string> => {
        await hold(shell, "v", "PR");
        const text = await shell.call(async (node) => Buffer.from(await node.held["it"]!.readLvb()).toString());
        await release(shell);
        assert.equal(text.length, 64);
        return text.replace(/\0+$/, "");
      };
      await write(one, "a first value that is rather long, to be followed by another one");
      assert.equal(await read(two), "a first value that is rather long, to be followed by another one");
      await write(two, "a short one");
      assert.equal(await read(one), "a short one");
    });

    it("tells a holder, once, that another node wants the lock: writers and readers", async () => {
      for (const mode of ["EX", "PR"] as const) {
        await one.call(async (node, wanted) => {
          node.log = [];
          const onBlocking = (asked: string | undefined, { name }: { name: string }): void => {
            node.log.push(`${name} ${asked ?? "?"}`);
          };
          node.held["it"] = await node.domain.lock("b", { mode: wanted, onBlocking });
        }, mode);
        assert.deepEqual(await one.call((node) => node.log), []);
        await ask(two, "b", "EX");
        const expected = mode === "EX" ? "b ?" : "b EX";
        await one.call(async (node) => node.until("the demand is told", () => node.log.length > 0));
        await pause(200);
        assert.deepEqual(await one.call((node) => node.log), [expected]);
        await release(one);
        await becomesGranted(two);
        await release(two);
        await two.call((node) => {
          node.held = {};
        });
      }
    });

    it("a reader is not told of another reader, though the node had the lock cached in EX", async () => {
      await hold(one, "cached", "EX");
      await release(one);
      await one.call(async (node) => {
        node.log = [];
        node.held["it"] = await node.domain.lock("cached", { mode: "PR", onBlocking: () => node.log.push("told") });
      });
      await hold(two, "cached", "PR");
      await pause(500);
      assert.deepEqual(await one.call((node) => node.log), []);
    });

    it("tryLock: null for what is held elsewhere, and a lock that is merely cached elsewhere is given up", async () => {
      await hold(one, "t", "EX");
      assert.equal(await two.call(async (node) => node.domain.tryLock("t", { patience: 300 })), null);
      await release(one);
      // the request that was given up is granted now, and goes back
      await two.call(async (node) => node.until("nothing is pending", () => node.domain.pending().length === 0));
      await hold(one, "t", "EX", "again");
      await release(one, "again");
      const mode = await two.call(async (node) => {
        const lock = await node.domain.tryLock("t", { patience: 10_000 });
        await lock?.release();
        return lock?.mode;
      });
      assert.equal(mode, "EX");
    });

    it("an aborted request rejects at once, holds nobody up, and its grant serves the next who asks", async () => {
      await hold(one, "a", "EX");
      const ms = await two.call(async (node) => {
        const begun = performance.now();
        try {
          await node.domain.lock("a", { signal: AbortSignal.timeout(500) });
        } catch (error) {
          if ((error as Error).name !== "TimeoutError") throw error;
          return performance.now() - begun;
        }
        return 0;
      });
      assert.ok(ms >= 490 && ms < 5000, `${ms} ms`);
      const pending = await two.call((node) => node.domain.pending());
      assert.deepEqual(
        pending.map(({ name, phase, abandoned }) => ({ name, phase, abandoned })),
        [{ name: "a", phase: "kernel", abandoned: true }],
      );
      await ask(two, "a", "EX");
      await release(one);
      await becomesGranted(two);
      await release(two);
      await hold(one, "a", "EX", "back");
    });

    it("PR and EX mixed on one lock by two processes of each node: nobody is stuck, and no write is lost", async function () {
      const ms = rounds(60_000, 8_000);
      this.timeout(ms + 60_000);
      const program = `
        const { Domain } = require(${JSON.stringify(require.resolve("../../dist/dlmfs"))});
        (async () => {
          const domain = await Domain.open("tests");
          const end = Date.now() + ${ms};
          let writes = 0;
          while (Date.now() < end) {
            const mode = Math.random() < 0.5 ? "PR" : "EX";
            const lock = await domain.lock("storm", { mode, signal: AbortSignal.timeout(30000) });
            if (mode === "EX") {
              const value = Buffer.from(await lock.readLvb());
              value.writeUInt32LE(value.readUInt32LE() + 1);
              await lock.writeLvb(value);
              writes++;
            }
            if (Math.random() < 0.3) await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
            await lock.release();
          }
          console.log(writes);
          await domain.close();
        })();`;
      const runs = [1, 1, 2, 2].map(async (node) => suite.run(node, process.execPath, "-e", program));
      const ends = await Promise.all(runs);
      for (const { code, stderr } of ends) assert.equal(`${code} ${stderr}`, "0 ");
      const writes = ends.reduce((sum, { stdout }) => sum + Number(stdout), 0);
      await hold(one, "storm", "PR");
      const value = await one.call(async (node) => Buffer.from(await node.held["it"]!.readLvb()).readUInt32LE());
      assert.equal(value, writes);
      assert.ok(writes > 20, `${writes} writes`);
    });

    it("processes of one node keep each other out, and none is asked to when that is switched off", async () => {
      await hold(one, "local", "EX");
      const other = suite.another(1);
      await open(other, "tests");
      assert.equal(await other.call(async (node) => node.domain.tryLock("local")), null);
      await ask(other, "local", "EX");
      await pause(300);
      assert.deepEqual(await other.call((node) => node.domain.pending().map(({ phase }) => phase)), ["local"]);
      await release(one);
      await becomesGranted(other);
      const raw = await one.call(async (node) => {
        const domain = await node.Domain.open("tests", { exclusion: "none" });
        const { state } = await domain.lock("local", { signal: AbortSignal.timeout(10_000) });
        await domain.close();
        return state;
      });
      assert.equal(raw, "granted");
    });

    it("a domain in use cannot be removed by others, and leave() says whether the node has left", async () => {
      await open(one, "kept");
      const removed = await suite.run(1, "sh", "-c", "rm -f /dlm/kept/* /dlm/kept/.*; rmdir /dlm/kept");
      assert.notEqual(removed.code, 0);
      await hold(one, "x", "EX");
      const other = suite.another(1);
      await open(other, "kept");
      assert.equal(await one.call(async (node) => node.domain.leave()), false);
      assert.equal((await suite.run(1, "test", "-d", "/dlm/kept")).code, 0);
      assert.equal(await other.call(async (node) => node.domain.leave()), true);
      assert.notEqual((await suite.run(1, "test", "-d", "/dlm/kept")).code, 0);
    });

    it("drop() and leave() spare what other processes of the node have cached", async () => {
      await hold(one, "spared", "EX");
      await release(one);
      const other = suite.another(1);
      await open(other, "tests");
      await hold(other, "spared", "EX");
      await release(other);
      const code = await one.call(async (node) => {
        try {
          await node.domain.drop("spared");
          return undefined;
        } catch (error) {
          return (error as NodeJS.ErrnoException).code;
        }
      });
      assert.equal(code, "EBUSY");
      await one.call(async (node) => node.domain.leave());
      assert.ok((await other.call(async (node) => node.domain.names())).includes("spared"));
      await other.call(async (node) => node.domain.drop("spared"));
      assert.ok(!(await other.call(async (node) => node.domain.names())).includes("spared"));
    });

    it("an uncached lock is gone from the node when it is released", async () => {
      await one.call(async (node) => {
        const lock = await node.domain.lock("uncached", { uncached: true, fileMode: 0o640 });
        node.log = [(node.fs.statSync("/dlm/tests/uncached").mode & 0o777).toString(8)];
        await lock.release();
      });
      assert.deepEqual(await one.call((node) => node.log), ["640"]);
      assert.ok(!(await one.call(async (node) => node.domain.names())).includes("uncached"));
    });

    it("an end of the process in any way, and of a worker, frees its locks", async () => {
      for (const end of ["SIGKILL", "exit", "terminate"] as const) {
        await one.call(
          async (node, path, how) => {
            const source = `
            const { Domain } = require(${JSON.stringify(path)});
            Domain.open("tests").then(async (domain) => {
              const lock = await domain.lock("ends");
              if (${JSON.stringify(how)} === "terminate") require("node:worker_threads").parentPort.postMessage("held");
              else process.stdout.write("held");
              globalThis.lock = lock;
              setInterval(() => {}, 1000);
              if (${JSON.stringify(how)} === "exit") process.exit(0);
            });`;
            if (how === "terminate") {
              const worker = new node.workerThreads.Worker(source, { eval: true });
              await new Promise((resolve) => worker.once("message", resolve));
              await worker.terminate();
            } else {
              const child = node.childProcess.spawn(process.execPath, ["-e", source], {
                stdio: ["ignore", "pipe", "inherit"],
              });
              await new Promise((resolve) => child.stdout.once("data", resolve));
              const ended = new Promise((resolve) => child.once("exit", resolve));
              if (how === "SIGKILL") child.kill("SIGKILL");
              await ended;
            }
          },
          require.resolve("../../dist/dlmfs"),
          end,
        );
        await hold(two, "ends", "EX", end);
        await release(two, end);
      }
    });

    it("says of a request that waits what for, for how long, and for whom", async () => {
      await hold(one, "who", "EX");
      await ask(two, "who", "EX");
      await pause(500);
      const [wait] = await two.call(async (node) => node.domain.explainWaits());
      assert.equal(wait!.lock, "who");
      assert.ok(wait!.waitedMs >= 400);
      assert.match(wait!.sentence, /who/);
      assert.ok(wait!.task, "the sleeping thread is not named");
      await release(one);
      await becomesGranted(two);
    });

    it("upgrades and downgrades without holding on to anything", async () => {
      await hold(one, "u", "PR");
      await hold(two, "u", "PR");
      await one.call((node) => {
        void node.held["it"]!.upgrade();
      });
      await pause(500);
      assert.equal(await one.call((node) => node.held["it"]!.state), "reopening");
      await two.call((node) => {
        void node.held["it"]!.upgrade();
      });
      const writers = async (): Promise<string[]> =>
        Promise.all(
          [one, two].map(async (shell) => shell.call(({ held }) => `${held["it"]!.state} ${held["it"]!.mode}`)),
        );
      for (let i = 0; i < 100 && !(await writers()).includes("granted EX"); i++) await pause(50);
      const before = await writers();
      assert.equal(before.filter((state) => state === "granted EX").length, 1, before.join());
      const [first, second] = before[0] === "granted EX" ? [one, two] : [two, one];
      await first.call(async (node) => node.held["it"]!.release());
      await second.call(async (node) =>
        node.until("the other one is granted", () => node.held["it"]!.state === "granted"),
      );
      await second.call(async (node) => node.held["it"]!.downgrade());
      assert.equal(await second.call(({ held }) => held["it"]!.mode), "PR");
    });
  });
}

describe("joining a domain on fs/dlm, whose cluster name ocfs2_dlmfs does not expect", function () {
  this.timeout(60_000);
  const suite = Suite.on(2, "dlmfs-dlm");
  const NAME = "/sys/kernel/config/dlm/cluster/cluster_name";
  const name = async (): Promise<string> => (await suite.run(1, "cat", NAME)).stdout;

  it("says what is wrong and what mends it", async () => {
    const error = await suite.shell(1).call(async (node) => {
      try {
        await node.Domain.open("mismatch", { create: true });
        return undefined;
      } catch (caught) {
        const { code, message } = caught as NodeJS.ErrnoException;
        return { code, message };
      }
    });
    assert.equal(error?.code, "EBADR");
    assert.match(error.message, /allowClusterNameWorkaround: true/);
  });

  it("puts the name back, however many join at a time", async () => {
    const before = await name();
    assert.equal(before.trim(), "lab");
    await Promise.all(
      [1, 2, 3, 4].map(async (n) => {
        const shell = suite.another(1);
        await open(shell, `many${n}`);
      }),
    );
    assert.equal(await name(), before);
  });

  it("puts the name back when the one who blanked it is killed, and mends what a killed helper has left", async () => {
    const before = await name();
    for (let i = 0; i < 5; i++) {
      const child = await suite.shell(1).call(
        async (node, dlmfs, round) => {
          const source = `require(${JSON.stringify(dlmfs)}).Domain.open("killed${round}", { create: true, allowClusterNameWorkaround: true })`;
          const child = node.childProcess.spawn(process.execPath, ["-e", source], { stdio: "ignore" });
          const ended = new Promise((resolve) => child.once("exit", resolve));
          const end = Date.now() + 10_000;
          while (node.fs.readFileSync("/sys/kernel/config/dlm/cluster/cluster_name", "utf8").trim() !== "") {
            if (Date.now() > end || child.exitCode !== null) return "never blank";
          }
          child.kill("SIGKILL");
          await ended;
          await node.until(
            "the name is back",
            () => node.fs.readFileSync("/sys/kernel/config/dlm/cluster/cluster_name", "utf8").trim() !== "",
          );
          return "killed while it was blank";
        },
        require.resolve("../../dist/dlmfs"),
        i,
      );
      if (child === "killed while it was blank") break;
    }
    assert.equal(await name(), before);
    // as if all helpers had been killed at once
    await suite.run(1, "sh", "-c", `printf lab >/run/lock/clusterlock/dlm-cluster-name; printf '\\0' >${NAME}`);
    assert.equal((await name()).trim(), "");
    await open(suite.shell(1), "mended");
    assert.equal(await name(), before);
  });
});
