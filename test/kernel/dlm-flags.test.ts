import assert from "node:assert/strict";
import path from "node:path";

import { Suite } from "./support/suite";

const LS = "flags";
const PROGRAM = path.join(__dirname, "programs", "persists.cjs");

// Every option that becomes a flag of the kernel's, shown by its effect on the queues or on the outcome.
describe("fs/dlm: every flag", function () {
  this.timeout(60_000);
  const suite = Suite.withLockspace(LS);

  it("tryLock and tryConvert do not wait (NOQUEUE), and notify holders only when asked to (NOQUEUEBAST)", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const told: string[] = [];
      const holder = await ls.lock("r", { mode: "PR", onBlocking: (mode) => told.push(mode) });
      const out: unknown[] = [await ls.tryLock("r", { mode: "CW" })];
      const lock = await ls.lock("r", { mode: "PR" });
      out.push(await lock.tryConvert("EX"), lock.mode);
      await node.sleep(100);
      out.push([...told]);
      out.push(await ls.tryLock("r", { mode: "CW", notifyHolders: true }));
      await node.until("the first notice", () => told.length === 1);
      out.push(await lock.tryConvert("EX", { notifyHolders: true }));
      await node.until("the second notice", () => told.length === 2);
      out.push([...told]);
      await holder.convert("NL");
      out.push(await lock.tryConvert("EX"), lock.mode);
      return out;
    });
    assert.deepEqual(seen, [null, false, "PR", [], null, false, ["CW", "EX"], true, "EX"]);
  });

  it("a conversion jumps the line of those that wait, but not with `queue` (QUECVT)", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const blocker = await ls.lock("r", { mode: "PR" });
      const first = await ls.lock("r", { mode: "NL" });
      const jumper = await ls.lock("r", { mode: "NL" });
      const polite = await ls.lock("r", { mode: "NL" });
      const order: string[] = [];
      const conversion = first.convert("EX").then(() => order.push("first"));
      await node.until("it waits", () => first.state === "converting");
      await jumper.convert("CR");
      const queued = polite.convert("CR", { queue: true }).then(() => order.push("polite"));
      await node.sleep(100);
      const early = [...order];
      await jumper.convert("NL");
      await blocker.release();
      await conversion;
      await first.convert("NL");
      await queued;
      return { early, order };
    });
    assert.deepEqual(seen, { early: [], order: ["first", "polite"] });
  });

  it("`queue` on a way that is not up is refused before the kernel warns about it", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const lock = await node.ls.lock("r");
      const error = (await lock.convert("PR", { queue: true }).catch((e: unknown) => e)) as { code: string };
      return [error.code, lock.mode, lock.state];
    });
    assert.deepEqual(seen, ["ERR_INVALID_ARG_VALUE", "EX", "granted"]);
  });

  it("a conversion deadlock demotes who allows it (CONVDEADLK), and says so", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const a = await ls.lock("r", { mode: "PR" });
      const b = await ls.lock("r", { mode: "PR", lvb: true });
      const first = a.convert("EX");
      await node.until("it waits", () => a.state === "converting");
      const second = b.convert("EX", { deadlock: "demote" });
      await first;
      const during = [a.mode, b.mode, b.demoted];
      await a.release({ lvb: Buffer.from("a was here") });
      await second;
      const after = [b.mode, b.demoted, Buffer.from(b.lvb ?? []).toString("utf8", 0, 10)];
      await b.convert("PR");
      return [during, after, b.demoted];
    });
    assert.deepEqual(seen, [["EX", "PR", false], ["EX", true, "a was here"], false]);
  });

  it("an aborted conversion that may have been demoted leaves NL, whatever the kernel keeps quiet about", async () => {
    const seen = await suite.shell(1).call(async (node, name) => {
      const { ls } = node;
      const a = await ls.lock("r", { mode: "PR" });
      const b = await ls.lock("r", { mode: "PR" });
      const first = a.convert("EX");
      await node.until("it waits", () => a.state === "converting");
      const second = b
        .convert("EX", { deadlock: "demote", signal: AbortSignal.timeout(100) })
        .catch((e: unknown) => e as Error);
      await first;
      const error = (await second) as Error;
      await node.until("it is back", () => b.mode === "NL");
      return [error.name, b.mode, node.kernelLocks(name).length];
    }, LS);
    assert.deepEqual(seen, ["TimeoutError", "NL", 2]);
  });

  it("a conversion deadlock is waited out by who says `wait` (NODLCKWT)", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const told: string[] = [];
      const a = await ls.lock("r", { mode: "PR", onBlocking: (mode) => told.push(`a ${mode}`) });
      const b = await ls.lock("r", { mode: "PR", onBlocking: (mode) => told.push(`b ${mode}`) });
      const first = a.convert("EX").catch((e: unknown) => e);
      await node.until("it waits", () => told.includes("b EX"));
      const second = b.convert("EX", { deadlock: "wait" });
      await node.sleep(100);
      const waits = b.state;
      await a.release({ force: true });
      const ended = (await first) as { code: string };
      await second;
      return [waits, ended.code, b.mode, b.demoted];
    });
    assert.deepEqual(seen, ["converting", "ERR_LOCK_RELEASED", "EX", false]);
  });

  it("a persistent lock outlives its process, is adopted in its mode, and purged (PERSISTENT, ORPHAN)", async () => {
    const seen = await suite.shell(1).call(
      async (node, name, program) => {
        const { ls } = node;
        const run = (...args: string[]): Promise<void> =>
          new Promise((resolve, reject) => {
            node.childProcess.execFile(process.execPath, [program, name, ...args], (error) => {
              if (error) reject(new Error(error.message));
              else resolve();
            });
          });
        const code = (error: unknown): string => (error as { code: string }).code;
        const out: unknown[] = [];
        // taken in NL and converted: only the last operation's flag counts for the kernel
        await run("keep", "PR");
        out.push(node.kernelLocks(name).length, (await ls.tryLock("keep")) === null);
        out.push(await ls.adopt("keep", { mode: "EX" }).catch(code));
        out.push(await ls.adopt("other", { mode: "PR" }));
        const lock = await ls.adopt("keep", { mode: "PR", onBlocking: () => undefined });
        out.push(lock?.mode, lock?.persistent, lock?.id === Number.parseInt(node.kernelLocks(name)[0] ?? "", 16));
        await lock?.convert("EX", { lvb: Buffer.from("adopted") });
        await lock?.release();
        out.push(node.kernelLocks(name).length);
        // dropped on purpose
        await run("drop", "PR", "drop");
        out.push(node.kernelLocks(name).length);
        // closing the handle leaves it too; a purge of all takes it away
        const handle = await node.Lockspace.open(name);
        await handle.lock("left", { persistent: true });
        await handle.close();
        out.push(node.kernelLocks(name).length);
        await ls.purge({ pid: 2 ** 31 - 1 });
        out.push(node.kernelLocks(name).length);
        await ls.purge();
        out.push(node.kernelLocks(name).length);
        out.push(await ls.purge({ nodeid: 77 }).catch(code));
        return out;
      },
      LS,
      PROGRAM,
    );
    assert.deepEqual(seen.slice(0, 2), [1, true]);
    assert.deepEqual(seen.slice(2, 7), ["EAGAIN", null, "PR", true, true]);
    assert.deepEqual(seen.slice(7, 12), [0, 0, 1, 1, 0]);
    // the kernel would say so too, and put a warning in its log
    assert.equal(seen[12], "ENOBUFS");
  });

  it("orphans keep a node from leaving, unless by force", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const handle = await node.Lockspace.open("orphans", { create: true });
      await handle.lock("left", { persistent: true });
      const { code } = (await node.Lockspace.remove("orphans", { force: true }).catch((e: unknown) => e)) as {
        code: string;
      };
      await handle.close();
      const error = (await node.Lockspace.remove("orphans").catch((e: unknown) => e)) as Error;
      await node.Lockspace.remove("orphans", { force: true });
      return [code, error.message, node.fs.existsSync("/sys/kernel/dlm/orphans")];
    });
    assert.equal(seen[0], "EBUSY", "never in spite of an open handle");
    assert.match(String(seen[1]), /EBUSY.*orphaned locks.*purge/);
    assert.equal(seen[2], false);
  });

  it("requests pass those that wait: NL by `expedite`, others by `noOrder` and `headQueue`", async () => {
    const seen = await suite.shell(1).call(async (node, name) => {
      const { ls } = node;
      const count = (n: number) => () => node.kernelLocks(name).length === n;
      const order: string[] = [];
      const holder = await ls.lock("r", { mode: "PR" });
      const first = ls.lock("r").then(async (lock) => (order.push("first"), lock.release()));
      await node.until("it waits", count(2));
      // in line behind it, although compatible with the holder
      const second = ls.lock("r", { mode: "NL" }).then(async (lock) => (order.push("second"), lock.release()));
      await node.until("it waits", count(3));
      const nl = await ls.lock("r", { mode: "NL", expedite: true });
      const unordered = await ls.lock("r", { mode: "PR", noOrder: true });
      const tried = await ls.tryLock("r", { mode: "PR" });
      const head = ls.lock("r", { headQueue: true }).then(async (lock) => (order.push("head"), lock.release()));
      await node.until("it waits", count(6));
      const early = [...order];
      await nl.release();
      await unordered.release();
      await holder.release();
      await Promise.all([first, second, head]);
      return { early, tried, order };
    }, LS);
    assert.deepEqual(seen, { early: [], tried: null, order: ["head", "first", "second"] });
  });

  it("conversions wait at the head of their line by `headQueue`", async () => {
    const order = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const seen: string[] = [];
      const blocker = await ls.lock("r", { mode: "PR" });
      // first of all: a new request, even for NL, queues behind conversions
      const [a, b, c] = await Promise.all([1, 2, 3].map(() => ls.lock("r", { mode: "NL" })));
      const convert = async (tag: string, lock: typeof a, options: object): Promise<Promise<unknown>[]> => {
        const done = lock?.convert("EX", options).then(async () => {
          seen.push(tag);
          await lock.release();
        });
        await node.until("it waits", () => lock?.state === "converting");
        await node.sleep(20);
        return [Promise.resolve(done)];
      };
      const waits = [...(await convert("a", a, {})), ...(await convert("b", b, {}))];
      waits.push(...(await convert("c", c, { headQueue: true })));
      await blocker.release();
      await Promise.all(waits);
      return seen;
    });
    assert.deepEqual(order, ["c", "a", "b"]);
  });

  it("a request is content with its alternative mode, at once or when its turn comes (ALTPR, ALTCW)", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const out: unknown[] = [];
      const reader = await ls.lock("r", { mode: "PR" });
      const content = await ls.lock("r", { mode: "EX", altMode: "PR" });
      out.push([content.mode, content.altMode]);
      await content.release();
      await reader.convert("EX");
      const waiting = ls.lock("r", { mode: "EX", altMode: "PR" });
      await node.sleep(50);
      await reader.convert("PR");
      const late = await waiting;
      out.push([late.mode, late.altMode]);
      await late.release();
      await reader.convert("CW");
      const writer = await ls.lock("r", { mode: "PR", altMode: "CW" });
      out.push([writer.mode, writer.altMode]);
      await writer.release();
      await reader.release();
      const whole = await ls.lock("r", { mode: "EX", altMode: "PR" });
      out.push([whole.mode, whole.altMode]);
      return out;
    });
    assert.deepEqual(seen, [
      ["PR", true],
      ["PR", true],
      ["CW", true],
      ["EX", false],
    ]);
  });

  it("values are invalidated by conversions and releases that say so (IVVALBLK), and by nothing left behind", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const { ls } = node;
      const out: unknown[] = [];
      const keeper = await ls.lock("r", { mode: "NL", lvb: true });
      const look = async (): Promise<void> => {
        await keeper.convert("CR");
        out.push([Buffer.from(keeper.lvb ?? []).toString("utf8", 0, 3), keeper.lvbValid]);
        await keeper.convert("NL");
      };
      const writer = await ls.lock("r", { lvb: Buffer.from("one") });
      await writer.convert("NL");
      await look();
      await writer.convert("EX");
      await writer.convert("NL", { invalidateLvb: true });
      await look();
      // a write mends it, although the kernel would have the unlock inherit the invalidation
      await writer.convert("EX");
      await writer.convert("PW", { invalidateLvb: true });
      await writer.release({ lvb: Buffer.from("two") });
      await look();
      // nor does a release that has nothing to write
      const second = await ls.lock("r");
      await second.convert("PW", { invalidateLvb: true });
      await (await ls.lock("r", { mode: "NL" })).release();
      await second.convert("PW", { lvb: Buffer.from("six") });
      await second.release();
      await look();
      const third = await ls.lock("r", { lvb: true });
      await third.release({ invalidateLvb: true });
      out.push(third.lvbValid);
      await look();
      const reader = await ls.lock("r", { mode: "PR" });
      const { code } = (await reader.release({ invalidateLvb: true }).catch((e: unknown) => e)) as { code: string };
      out.push(code);
      return out;
    });
    assert.deepEqual(seen, [
      ["one", true],
      ["one", false],
      ["two", true],
      ["six", true],
      false,
      ["six", false],
      "ERR_INVALID_ARG_VALUE",
    ]);
  });

  it("locks carry a tag (xid), the process id unless another is given; NODLCKBLK is taken and changes nothing", async () => {
    const seen = await suite.shell(1).call(async (node, name) => {
      const { ls } = node;
      const columns = (): string[] => (node.kernelLocks(name)[0] ?? "").split(" ");
      const plain = await ls.lock("r");
      const own = columns()[4] === String(process.pid);
      await plain.release();
      const tagged = await ls.lock("r", { mode: "NL", xid: 2n ** 63n + 5n, noDeadlockBlock: true });
      await tagged.convert("EX");
      const [, , , , xid, exflags] = columns();
      return [own, xid, exflags];
    }, LS);
    // CONVERT and NODLCKBLK
    assert.deepEqual(seen, [true, String(2n ** 63n + 5n), "204"]);
  });

  it("a release by force takes a waiting conversion with it (FORCEUNLOCK)", async () => {
    const seen = await suite.shell(1).call(async (node, name) => {
      const { ls } = node;
      const codes: string[] = [];
      for (let round = 0; round < 50; round++) {
        const blocker = await ls.lock("r", { mode: "PR" });
        const lock = await ls.lock("r", { mode: "PR" });
        const conversion = lock.convert("EX").then(
          () => "granted",
          (e: unknown) => (e as { code: string }).code,
        );
        if (round % 2 === 0) await node.until("it waits", () => lock.state === "converting");
        if (round % 3 === 0) void blocker.release();
        await lock.release({ force: true });
        codes.push(await conversion);
        await blocker.release();
        if (node.kernelLocks(name).length > 0) throw new Error("a lock is left");
      }
      return [...new Set(codes)].sort();
    }, LS);
    assert.deepEqual(
      seen.filter((code) => !["ERR_LOCK_RELEASED", "granted"].includes(code)),
      [],
    );
    assert.ok(seen.includes("ERR_LOCK_RELEASED"));
  });

  it("whoever finds a deadlock ends a request or conversion in it (DLM_USER_DEADLOCK)", async () => {
    const seen = await suite.shell(1).call(async (node, name) => {
      const { ls } = node;
      const waiting = (status: string): number => {
        const line = node.kernelLocks(name).find((text) => text.split(" ")[7] === status) ?? "";
        return Number.parseInt(line, 16);
      };
      const code = (e: unknown): string => (e as { code: string }).code;
      const holder = await ls.lock("r", { mode: "PR" });
      const request = ls.lock("r").catch(code);
      await node.until("it waits", () => waiting("1") > 0);
      const out: unknown[] = [await ls.cancelDeadlock(waiting("1")), await request];
      const lock = await ls.lock("r", { mode: "PR" });
      const conversion = lock.convert("EX").catch(code);
      await node.until("it waits", () => waiting("3") > 0);
      const other = await node.Lockspace.open(name);
      out.push(await other.cancelDeadlock(waiting("3")));
      await other.close();
      out.push(await ls.cancelDeadlock(waiting("3")), await conversion, lock.mode);
      out.push(await ls.cancelDeadlock(lock.id), await ls.cancelDeadlock(holder.id));
      await lock.convert("NL");
      return out;
    }, LS);
    assert.deepEqual(seen, [true, "EDEADLK", false, true, "EDEADLK", "PR", false, false]);
  });

  it("releaseAll drops all in one request, persistent ones too, and flags the values", async () => {
    const seen = await suite.shell(1).call(async (node, name) => {
      const { ls } = node;
      const other = await node.Lockspace.open(name);
      const keeper = await other.lock("v", { mode: "NL", lvb: true });
      await (await ls.lock("v", { lvb: Buffer.from("kept") })).release();
      const blocker = await other.lock("w");
      const locks = await Promise.all(Array.from({ length: 500 }, (_, i) => ls.lock(`r${i}`, { persistent: i < 9 })));
      await ls.lock("v", { lvb: true });
      const waiting = ls.lock("w").catch((e: unknown) => (e as { code: string }).code);
      await node.until("all are there", () => node.kernelLocks(name).length === 504);
      await ls.releaseAll();
      const out: unknown[] = [await waiting, ls.held, ls.pending, locks.every((lock) => lock.state === "released")];
      out.push(node.kernelLocks(name).length);
      await keeper.convert("PR");
      out.push(keeper.lvbValid);
      const again = await ls.lock("r1");
      await again.release();
      await blocker.release();
      await other.close();
      return out;
    }, LS);
    assert.deepEqual(seen, ["ERR_LOCK_RELEASED", 0, 0, true, 2, false]);
  });

  it("inside a PID namespace, which counts threads its own way, releaseAll releases all the same", async () => {
    const seen = await suite.shell(1).call(
      async (node, name, program) => {
        const run = (): Promise<string> =>
          new Promise((resolve, reject) => {
            const argv = ["--pid", "--fork", "--mount-proc", process.execPath, program, name];
            node.childProcess.execFile("unshare", argv, (error, stdout, stderr) => {
              if (error) reject(new Error(stderr));
              else resolve(stdout);
            });
          });
        return JSON.parse(await run()) as unknown;
      },
      LS,
      path.join(__dirname, "programs", "namespaced.cjs"),
    );
    assert.deepEqual(seen, { held: 0, kernel: 0, purge: "ENOTSUP" });
  });

  it("a handle that is closed leaves no descriptor behind", async () => {
    const more = await suite.shell(1).call(async (node, name) => {
      const count = (): number => node.fs.readdirSync("/proc/self/fd").length;
      const cycle = async (): Promise<void> => {
        const handle = await node.Lockspace.open(name);
        await (await handle.lock("r")).release();
        await handle.close();
      };
      await cycle();
      const before = count();
      for (let i = 0; i < 100; i++) await cycle();
      return count() - before;
    }, LS);
    assert.ok(more <= 1, `${more} more`);
  });

  it("lockspaces are created exclusively, with a mode for the device, and there is a default one", async () => {
    const seen = await suite.shell(1).call(async (node) => {
      const open = { create: { exclusive: true, mode: 0o666 } };
      const made = await node.Lockspace.open("made", open);
      const error = (await node.Lockspace.open("made", open).catch((e: unknown) => e)) as { code: string };
      await node.sleep(300);
      const mode = node.fs.statSync("/dev/dlm_made").mode & 0o777;
      await made.close();
      await node.Lockspace.remove("made");
      const usual = await node.Lockspace.default({ create: true });
      const { name } = usual;
      await usual.close();
      await node.Lockspace.remove("default");
      return [error.code, mode.toString(8), name];
    });
    assert.deepEqual(seen, ["EEXIST", "666", "default"]);
  });
});
