import assert from "node:assert/strict";
import path from "node:path";

import { rounds } from "../rounds";
import { seed } from "./support/seed";
import { Suite } from "./support/suite";

const LS = "solo";
const ABORTS = rounds(1000, 150);
const REMOVALS = rounds(100, 15);
const WORKERS = rounds(200, 25);
const programs = path.join(__dirname, "programs");

// One node with the real fs/dlm: everything that does not need a second node, and all that would be dangerous with one,
// such as stopping a lockspace by hand (stopping one side of two can itself grant a lock twice).
describe("fs/dlm on one node", function () {
  this.timeout(120_000);
  const suite = Suite.withLockspace(LS);

  it("an abort rejects at once while the lockspace is stopped, and leaves no lock behind", async () => {
    const outcome = await suite.shell(1).call(async (node, name) => {
      const { fs } = node;
      fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "0");
      const names = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          node.ls.lock(`r${i}`, { signal: AbortSignal.timeout(100) }).then(
            () => "granted",
            (error: unknown) => (error as Error).name,
          ),
        ),
      );
      fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "1");
      await node.until("no lock is left", () => node.kernelLocks(name).length === 0);
      return names;
    }, LS);
    assert.deepEqual(new Set(outcome), new Set(["TimeoutError"]));
  });

  it(`${ABORTS} aborts racing with grants leak no lock`, async () => {
    const from = seed();
    const { won, lost } = await suite.shell(1).call(
      async (node, name, start, count) => {
        const random = node.dice(start);
        const second = await node.Lockspace.open(name);
        let aborted = 0;
        let kept = 0;
        const reason = new Error("raced");
        for (let round = 0; round < count; round++) {
          const holder = await second.lock("contended");
          const abort = new AbortController();
          const request = node.ls.lock("contended", { signal: abort.signal, lvb: random() < 0.3 });
          const give = async (): Promise<void> => {
            await new Promise((resolve) => setImmediate(resolve));
            if (random() < 0.5) await node.sleep(random() * 2);
            await holder.release();
          };
          const gone = give();
          if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
          if (random() < 0.5) await node.sleep(random() * 3);
          if (random() < 0.2) await gone;
          abort.abort(reason);
          try {
            const lock = await request;
            kept++;
            await lock.release();
          } catch (error) {
            if (error !== reason) throw error;
            aborted++;
          }
          await gone;
        }
        await node.until("no request is unsettled", () => node.ls.pending === 0);
        const left = node.kernelLocks(name);
        if (left.length > 0) throw new Error(`leaked: ${left.join("; ")}`);
        await second.close();
        return { won: aborted, lost: kept };
      },
      LS,
      from,
      ABORTS,
    );
    assert.equal(won + lost, ABORTS, `seed ${from}`);
    assert.ok(
      won > ABORTS / 20 && lost > ABORTS / 100,
      `seed ${from}: both sides of the race are seen (${won} aborted, ${lost} granted)`,
    );
  });

  it("aborted conversions keep or restore the old mode", async () => {
    const modes = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const seen = new Set<string>();
      for (let round = 0; round < 100; round++) {
        const lock = await ls.lock("c", { mode: "NL" });
        const other = round % 2 === 0 ? await ls.lock("c", { mode: "PR" }) : undefined;
        const abort = new AbortController();
        const conversion = lock.convert("EX", { signal: abort.signal });
        const late = round % 3 === 0;
        // submitted by then, but no answer of the kernel can have been read before the loop turns
        await new Promise<void>((resolve) => {
          process.nextTick(resolve);
        });
        if (late) await new Promise((resolve) => setImmediate(resolve));
        abort.abort();
        const result = await conversion.then(
          () => "granted",
          (error: unknown) => (error as Error).name,
        );
        await other?.release();
        if (result === "AbortError") {
          // the kernel agrees that the lock stands in nobody's way
          const probe = await ls.lock("c", { mode: "EX", signal: AbortSignal.timeout(10_000) });
          await probe.release();
        }
        seen.add(`${late ? "late" : "at once"}: ${result}, ${lock.mode}`);
        await lock.release();
      }
      return [...seen].sort();
    });
    const either = ["late: AbortError, NL", "late: granted, EX"];
    assert.deepEqual(
      modes.filter((mode) => !either.includes(mode)),
      ["at once: AbortError, NL"],
    );
  });

  it("a waiting PR to CW conversion follows the kernel's word when aborted", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const blocker = await ls.lock("s", { mode: "PR" });
      const lock = await ls.lock("s", { mode: "PR" });
      const error = (await lock.convert("CW", { signal: AbortSignal.timeout(100) }).catch((e: unknown) => e)) as Error;
      const aborted = [error.name, lock.mode];
      await blocker.release();
      await lock.convert("CW");
      return [...aborted, lock.mode];
    });
    assert.deepEqual(seen, ["TimeoutError", "PR", "CW"]);
  });

  it("a notice that comes together with the grant of a conversion is not lost", async () => {
    const told = await suite.shell(1).call(async (node, name) => {
      const seen: string[] = [];
      for (let round = 0; round < 50; round++) {
        const first = await node.ls.lock("b");
        const lock = await node.ls.lock("b", { mode: "NL", onBlocking: (mode) => seen.push(mode) });
        // of one handle and submitted first, so that the conversion is first in the queues
        const conversion = lock.convert("EX");
        await new Promise<void>((resolve) => {
          process.nextTick(resolve);
        });
        const queued = node.ls.lock("b");
        await node.until("both wait", () => node.kernelLocks(name).length === 3);
        await first.release();
        await conversion;
        await node.until("the notice", () => seen.length === round + 1, 3000);
        await lock.release();
        await (await queued).release();
      }
      return new Set(seen).size;
    }, LS);
    assert.equal(told, 1);
  });

  it("releases under contention, with notices on their way, break nothing", async () => {
    // An unread notice whose lock is converted without notices reads back without an address on 6.1.
    const cycles = await suite.shell(1).call(
      async (node, name, start) => {
        const random = node.dice(start);
        const other = await node.Lockspace.open(name);
        for (let round = 0; round < 500; round++) {
          const lock = await node.ls.lock("n", { lvb: true, onBlocking: () => undefined });
          const queued = other.lock("n");
          await node.sleep(random() * 3);
          if (random() < 0.3) await lock.convert("PR", { onBlocking: null });
          await lock.release();
          await (await queued).release();
        }
        await other.close();
        return 500;
      },
      LS,
      seed(),
    );
    assert.equal(cycles, 500);
  });

  it("a removal that meets an open neither hangs nor takes a lockspace away from its handle", async () => {
    const seen = await suite.shell(1).call(
      async (node, start, count) => {
        const random = node.dice(start);
        const outcomes = new Set<string>();
        await (await node.Lockspace.open("race", { create: true })).close();
        for (let round = 0; round < count; round++) {
          const removal = node.Lockspace.remove("race").then(
            () => "removed",
            (error: unknown) => (error as { code: string }).code,
          );
          await node.sleep(random() * 12);
          const handle = await node.Lockspace.open("race", { create: true, signal: AbortSignal.timeout(20_000) });
          outcomes.add(await removal);
          if (node.kernelLocks("race").length > 0) throw new Error("a lock from nowhere");
          const lock = await handle.lock("r");
          if (node.kernelLocks("race").length !== 1) throw new Error("the lock is not in the lockspace");
          await lock.release();
          await handle.close();
        }
        await node.Lockspace.remove("race");
        return [...outcomes].sort();
      },
      seed(),
      REMOVALS,
    );
    assert.ok(seen.includes("removed"), seen.join());
    assert.deepEqual(
      seen.filter((outcome) => !["removed", "EBUSY"].includes(outcome)),
      [],
    );
  });

  it("many opens that create at once count one creation", async () => {
    const gone = await suite.shell(1).call(async (node) => {
      const handles = await Promise.all(Array.from({ length: 8 }, () => node.Lockspace.open("once", { create: true })));
      await Promise.all(handles.map((handle) => handle.close()));
      await node.Lockspace.remove("once");
      return !node.fs.existsSync("/sys/kernel/dlm/once");
    });
    assert.ok(gone);
  });

  it("a conversion deadlock is EDEADLK for one, and both keep their modes", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const a = await ls.lock("d", { mode: "PR" });
      const b = await ls.lock("d", { mode: "PR" });
      const first = a.convert("EX");
      const error = (await b.convert("EX").catch((e: unknown) => e)) as { code: string; syscall: string };
      const mode = b.mode;
      await b.release();
      await first;
      return [error.code, error.syscall, mode, a.mode];
    });
    assert.deepEqual(seen, ["EDEADLK", "dlm_convert", "PR", "EX"]);
  });

  it("value blocks: read, written, kept, and never written by accident", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const text = (lvb: Uint8Array | undefined): string =>
        Buffer.from(lvb ?? [])
          .toString()
          .replace(/\0+$/, "");
      const out: unknown[] = [];
      const keeper = await ls.lock("v", { mode: "NL", lvb: true });
      out.push([text(keeper.lvb), keeper.lvbValid]);
      // never written: what comes back is not the echo of our own bytes
      const writer = await ls.lock("v", { mode: "NL" });
      await writer.convert("EX", { lvb: Buffer.from("one") });
      out.push([text(writer.lvb), writer.lvbValid]);
      await writer.convert("NL");
      await keeper.convert("CR");
      out.push([text(keeper.lvb), keeper.lvbValid]);
      await keeper.convert("NL");
      // releases of those who only read, or do not care, write nothing
      await (await ls.lock("v", { lvb: true })).release();
      await (await ls.lock("v")).release();
      // a release can carry the value, for a lock that took no part before
      await keeper.convert("PR");
      out.push(text(keeper.lvb));
      await keeper.convert("NL");
      await (await ls.lock("v")).release({ lvb: Buffer.from("two") });
      await keeper.convert("PR");
      out.push(text(keeper.lvb));
      await keeper.convert("NL");
      // an aborted conversion that the kernel had queued leaves VALBLK behind in the kernel's lock
      const reader = await ls.lock("v", { mode: "PW" });
      const other = await ls.lock("v", { mode: "CR" });
      await reader.convert("EX", { lvb: true, signal: AbortSignal.timeout(50) }).catch(() => undefined);
      await reader.release();
      await other.release();
      await keeper.convert("PR");
      out.push(text(keeper.lvb));
      return out;
    });
    assert.deepEqual(seen, [["", true], ["", true], ["one", true], "one", "two", "two"]);
  });

  it("a killed writer's value is flagged, for each way to die", async () => {
    for (const ending of ["SIGKILL", "exit", "throw"]) {
      const valid = await suite.shell(1).call(
        async (node, name, file, how) => {
          const { fork } = node.childProcess;
          const keeper = await node.ls.lock("k", { mode: "NL", lvb: true });
          await (await node.ls.lock("k", { lvb: Buffer.from("fine") })).release();
          const child = fork(file, [name, "held", how], { stdio: "ignore" });
          await new Promise((resolve) => child.once("message", resolve));
          if (how === "SIGKILL") child.kill("SIGKILL");
          else child.send("end");
          const heir = await node.ls.lock("k", { lvb: true, signal: AbortSignal.timeout(10_000) });
          const flag = heir.lvbValid;
          await heir.release();
          await keeper.release();
          return flag;
        },
        LS,
        path.join(programs, "dies.cjs"),
        ending,
      );
      assert.equal(valid, false, ending);
    }
  });

  it("while the lockspace is stopped, a process's exit waits in the kernel for recovery", async () => {
    const seen = await suite.shell(1).call(
      async (node, name, file) => {
        const { fs } = node;
        const { fork } = node.childProcess;
        const child = fork(file, [name, "held", "SIGKILL"], { stdio: "ignore" });
        let gone = false;
        const exited = new Promise<void>((resolve) =>
          child.once("exit", () => {
            gone = true;
            resolve();
          }),
        );
        await new Promise((resolve) => child.once("message", resolve));
        fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "0");
        child.kill("SIGKILL");
        await node.sleep(1500);
        const whileStopped = gone;
        fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "1");
        await exited;
        return { whileStopped, after: gone };
      },
      LS,
      path.join(programs, "dies.cjs"),
    );
    assert.deepEqual(seen, { whileStopped: false, after: true });
  });

  it(`${WORKERS} worker start and stop cycles`, async function () {
    this.timeout(300_000);
    const cycles = await suite.shell(1).call(
      async (node, name, file, count) => {
        const { Worker } = node.workerThreads;
        const states = ["held", "waiting", "converting"];
        const cycle = async (round: number): Promise<void> => {
          const how = ["terminate", "exit", "throw"][round % 3] ?? "";
          const worker = new Worker(file, { argv: [name, states[(round % 7) % 3] ?? "", how] });
          const exited = new Promise<number>((resolve) => worker.once("exit", resolve));
          worker.once("error", (error) => {
            if (error.message !== "on purpose") throw error;
          });
          await new Promise((resolve) => worker.once("message", resolve));
          if (how === "terminate") await worker.terminate();
          else worker.postMessage("end");
          const code = await exited;
          if (code !== (how === "exit" ? 7 : 1)) throw new Error(`round ${round} (${how}) ended with ${code}`);
        };
        const lane = async (first: number): Promise<void> => {
          for (let round = first; round < count; round += 2) await cycle(round);
        };
        await Promise.all([lane(0), lane(1)]);
        await node.until("all locks are gone", () => node.kernelLocks(name).length === 0);
        return count;
      },
      LS,
      path.join(programs, "dies.cjs"),
      WORKERS,
    );
    assert.equal(cycles, WORKERS);
  });

  it("4 workers contend for one resource without loss", async () => {
    const total = await suite.shell(1).call(
      async (node, name, file) => {
        const { Worker } = node.workerThreads;
        const counter = new SharedArrayBuffer(4);
        const ends = Array.from({ length: 4 }, () => {
          const worker = new Worker(file, { argv: [name], workerData: { counter, rounds: 100 } });
          return new Promise<void>((resolve, reject) => {
            worker.once("error", reject);
            worker.once("exit", (code) => {
              if (code === 0) resolve();
              else reject(new Error(`exit ${code}`));
            });
          });
        });
        await Promise.all(ends);
        return new Int32Array(counter)[0];
      },
      LS,
      path.join(programs, "counts.cjs"),
    );
    assert.equal(total, 400);
  });

  it("refuses to leave while the lockspace is open, naming who has it open", async () => {
    const error = await suite.shell(1).call(async (node, name) => {
      const { code, holders, message } = (await node.Lockspace.remove(name).catch((e: unknown) => e)) as {
        code: string;
        holders: number[];
        message: string;
      };
      return { code, mine: holders.includes(process.pid), message };
    }, LS);
    assert.equal(error.code, "EBUSY");
    assert.ok(error.mine);
    assert.match(error.message, /open in process \d+; close it there first/);
  });

  it("wrong input is refused with a typed error before the kernel sees it", async () => {
    const codes = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const lock = await ls.lock("fine");
      await lock.release();
      const closed = await node.Lockspace.open("solo");
      await closed.close();
      const attempts: (() => Promise<unknown>)[] = [
        () => node.Lockspace.open(""),
        () => node.Lockspace.open("x".repeat(65)),
        () => node.Lockspace.open("a/b"),
        () => node.Lockspace.open(5 as never),
        () => ls.lock(""),
        () => ls.lock("r".repeat(65)),
        () => ls.lock("nul\0"),
        () => ls.lock("r", { mode: "XX" as never }),
        () => ls.lock("r", { lvb: new Uint8Array(33) }),
        () => ls.lock("r", { signal: {} as never }),
        () => lock.convert("PR"),
        () => closed.lock("r"),
        () => node.Lockspace.open("never-joined"),
        () => node.Lockspace.remove("never-joined"),
      ];
      const out: string[] = [];
      for (const attempt of attempts) {
        out.push(
          await attempt().then(
            () => "fine",
            (e: unknown) => (e as { code: string }).code,
          ),
        );
      }
      return out;
    });
    assert.deepEqual(codes, [
      ...["ERR_INVALID_ARG_VALUE", "ERR_INVALID_ARG_VALUE", "ERR_INVALID_ARG_VALUE", "ERR_INVALID_ARG_TYPE"],
      ...["ERR_INVALID_ARG_VALUE", "ERR_INVALID_ARG_VALUE", "ERR_INVALID_ARG_VALUE", "ERR_INVALID_ARG_VALUE"],
      ...[
        "ERR_INVALID_ARG_VALUE",
        "ERR_INVALID_ARG_TYPE",
        "ERR_LOCK_RELEASED",
        "ERR_LOCKSPACE_CLOSED",
        "ENOENT",
        "ENOENT",
      ],
    ]);
  });

  it("an unprivileged user gets EACCES for the device and for creating, with what to do", async () => {
    const errors = await suite.shell(1).call(
      async (node, name, file) => {
        const { fork } = node.childProcess;
        const child = fork(file, [name], { stdio: "ignore" });
        return new Promise<{ code: string; message: string }[]>((resolve) => child.once("message", resolve as never));
      },
      LS,
      path.join(programs, "unprivileged.cjs"),
    );
    assert.equal(errors[0]?.code, "EACCES");
    assert.match(errors[0].message, /not open to this user/);
    assert.ok(errors[1]?.code === "EPERM" || errors[1]?.code === "EACCES", JSON.stringify(errors[1]));
    assert.match(errors[1].message, /needs/);
  });
});

describe("a node without a cluster", function () {
  this.timeout(60_000);
  const suite = Suite.on(1, "none");

  it("says that the module is not loaded, then that dlm_controld is not running", async () => {
    const open = (create: boolean): Promise<{ code: string; message: string }> =>
      suite.shell(1).call(async (node, make) => {
        const error = await node.Lockspace.open("none", { create: make }).then(
          () => undefined,
          (e: unknown) => e,
        );
        const { code, message } = error as { code: string; message: string };
        return { code, message };
      }, create);
    for (const create of [false, true]) {
      const error = await open(create);
      assert.equal(error.code, "ENOENT");
      assert.match(error.message, /modprobe dlm/);
    }
    assert.equal((await suite.run(1, "modprobe", "dlm")).code, 0);
    const unjoined = await open(false);
    assert.equal(unjoined.code, "ENOENT");
    assert.match(unjoined.message, /has not joined/);
    const alone = await open(true);
    assert.equal(alone.code, "ENOTCONN");
    assert.match(alone.message, /dlm_controld/);
  });
});
