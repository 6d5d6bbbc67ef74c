import assert from "node:assert/strict";

import { once } from "node:events";

import { type DlmError, type LockStateError, Lockspace } from "../../lib/dlm";
import { useAddon } from "../../lib/native";

import { loadDouble, until } from "./double";

const { addon, levers } = loadDouble();

describe("lib/dlm over the device double", () => {
  let ls: Lockspace;
  let other: Lockspace;

  before(() => {
    useAddon(addon);
  });
  beforeEach(async () => {
    ls = await Lockspace.open("t", { create: true });
    other = await Lockspace.open("t");
  });
  afterEach(async () => {
    levers.stall(false);
    levers.failWrites(0, 0);
    levers.failReads(0, 0);
    await ls.close();
    await other.close();
    assert.equal(levers.countLocks(), 0, "every lock is gone once its handles are closed");
    assert.equal(levers.countHandles(), 0);
    await Lockspace.remove("t");
  });

  it("grants, converts and releases; release is idempotent", async () => {
    const lock = await ls.lock("r", { mode: "PR" });
    assert.equal(lock.mode, "PR");
    assert.ok(lock.id > 0);
    assert.equal(await lock.convert("EX"), lock);
    assert.equal(lock.mode, "EX");
    await Promise.all([lock.release(), lock.release()]);
    await lock.release();
    assert.equal(levers.countLocks(), 0);
  });

  it("queues a conflicting request until the holder gives way", async () => {
    const held = await ls.lock("r");
    let granted = false;
    const waiting = other.lock("r").then((lock) => {
      granted = true;
      return lock;
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(granted, false);
    await held.release();
    await (await waiting).release();
  });

  it("tryLock says null for a conflict and leaves nothing behind", async () => {
    const held = await ls.lock("r");
    assert.equal(await other.tryLock("r"), null);
    assert.equal(levers.countLocks(), 1);
    const shared = await other.tryLock("r", { mode: "NL" });
    assert.ok(shared);
    await shared.release();
    await held.release();
  });

  it("tells the holder who it blocks, and passes the lock itself", async () => {
    const told: string[] = [];
    const held = await ls.lock("r", {
      onBlocking: (mode, lock) => {
        assert.equal(lock, held);
        told.push(mode);
        void lock.convert("NL");
      },
    });
    const next = await other.lock("r", { mode: "PR" });
    assert.deepEqual(told, ["PR"]);
    await next.release();
  });

  it("a notice that comes together with the grant of a conversion is not lost", async () => {
    for (let round = 0; round < 20; round++) {
      const first = await other.lock("r");
      let told: (mode: string) => void = () => undefined;
      const notice = new Promise<string>((resolve) => (told = resolve));
      const lock = await ls.lock("r", {
        mode: "NL",
        onBlocking: (mode) => {
          told(mode);
        },
      });
      // of one handle and submitted first, so that the conversion is first in the queues
      const conversion = lock.convert("EX");
      await new Promise<void>((resolve) => {
        process.nextTick(resolve);
      });
      const queued = ls.lock("r");
      await until("both wait", () => levers.countLocks() === 3);
      await first.release();
      await conversion;
      assert.equal(await Promise.race([notice, new Promise((resolve) => setTimeout(resolve, 2000, "silence"))]), "EX");
      await lock.release();
      await (await queued).release();
    }
  });

  it("a throwing onBlocking is an uncaught exception, and costs nobody else an event", async () => {
    const held = await ls.lock("r", {
      onBlocking: () => {
        throw new Error("from the listener");
      },
    });
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const caught = new Promise<Error>((resolve) => process.once("uncaughtException", resolve));
    const waiting = other.lock("r");
    assert.equal((await caught).message, "from the listener");
    for (const listener of listeners) process.on("uncaughtException", listener);
    await held.release();
    await (await waiting).release();
  });

  describe("value block", () => {
    const text = (lvb: Uint8Array | undefined): string =>
      Buffer.from(lvb ?? [])
        .toString()
        .replace(/\0+$/, "");

    it("is undefined until asked for, then zeros and valid when nobody wrote", async () => {
      const lock = await ls.lock("r", { mode: "NL" });
      assert.equal(lock.lvb, undefined);
      assert.equal(lock.lvbValid, undefined);
      await lock.convert("CR", { lvb: true });
      assert.deepEqual(lock.lvb, new Uint8Array(32));
      assert.equal(lock.lvbValid, true);
    });

    it("is written by a conversion down and by a release, and read by the next", async () => {
      const keeper = await other.lock("r", { mode: "NL", lvb: true });
      const writer = await ls.lock("r", { lvb: Buffer.from("one") });
      assert.equal(text(writer.lvb), "", "what is there is read first");
      await writer.convert("NL");
      assert.equal(text(writer.lvb), "one");
      await keeper.convert("PR", { lvb: true });
      assert.equal(text(keeper.lvb), "one");
      await keeper.convert("NL");
      await writer.convert("EX");
      await writer.release({ lvb: Buffer.from("two") });
      await keeper.convert("CR");
      assert.equal(text(keeper.lvb), "two", "once asked for, it is read along");
    });

    it("a value in the request for an unwritten resource is not read back as the resource's", async () => {
      const lock = await ls.lock("r", { mode: "NL", lvb: true });
      await lock.convert("EX", { lvb: Buffer.from("mine") });
      assert.equal(text(lock.lvb), "");
    });

    it("a reader's release writes nothing", async () => {
      const keeper = await other.lock("r", { mode: "NL", lvb: true });
      await (await ls.lock("r", { lvb: Buffer.from("kept") })).release();
      await (await ls.lock("r", { mode: "EX", lvb: true })).release();
      await (await ls.lock("r", { mode: "EX" })).release();
      await keeper.convert("PR", { lvb: true });
      assert.equal(text(keeper.lvb), "kept");
    });

    it("a release can bring the first value of a lock that took no part before", async () => {
      const keeper = await other.lock("r", { mode: "NL", lvb: true });
      await (await ls.lock("r")).release({ lvb: Buffer.from("late") });
      await keeper.convert("PR");
      assert.equal(text(keeper.lvb), "late");
      const reader = await ls.lock("r", { mode: "PR" });
      await assert.rejects(reader.release({ lvb: Buffer.from("x") }), { code: "ERR_INVALID_ARG_VALUE" });
      assert.equal(reader.released, false);
    });
  });

  describe("abort", () => {
    it("of a signal that has fired already sends nothing", async () => {
      const reason = new Error("no");
      await assert.rejects(ls.lock("r", { signal: AbortSignal.abort(reason) }), reason);
      assert.equal(levers.countLocks(), 0);
    });

    it("of a waiting request rejects with the reason and cancels it in the kernel", async () => {
      const held = await ls.lock("r");
      const reason = new Error("enough");
      const abort = new AbortController();
      const waiting = other.lock("r", { signal: abort.signal });
      await until("the request is queued", () => levers.countLocks() === 2);
      abort.abort(reason);
      await assert.rejects(waiting, reason);
      await until("the request is gone", () => levers.countLocks() === 1);
      await held.release();
    });

    it("crossing a grant gives the lock back, and keeps the value as it was", async () => {
      const keeper = await other.lock("r", { mode: "NL", lvb: true });
      await (await ls.lock("r", { lvb: Buffer.from("kept") })).release();
      let granted = 0;
      for (let round = 0; round < 300; round++) {
        const abort = new AbortController();
        const request = ls.lock("r", { signal: abort.signal, lvb: Buffer.from("stray") });
        if (round % 3 === 0) abort.abort();
        else if (round % 3 === 1)
          setImmediate(() => {
            abort.abort();
          });
        else
          setTimeout(() => {
            abort.abort();
          }, 1);
        const lock = await request.catch((error: unknown) => {
          assert.equal((error as Error).name, "AbortError");
        });
        if (lock) {
          granted++;
          await lock.convert("NL", { lvb: false });
          await lock.release();
        }
      }
      await until("only the keeper is left", () => levers.countLocks() === 1);
      assert.ok(granted < 300, "some aborts won");
      await keeper.convert("PR", { lvb: true });
      assert.equal(Buffer.from(keeper.lvb ?? []).toString("utf8", 0, 5), "kept\0");
    });

    it("rejects at once while the kernel is stuck, and cleans up after it", async () => {
      levers.stall(true);
      const started = Date.now();
      await assert.rejects(ls.lock("r", { signal: AbortSignal.timeout(30) }), { name: "TimeoutError" });
      assert.ok(Date.now() - started < 5000);
      levers.stall(false);
      await until("nothing is left", () => levers.countLocks() === 0 && ls.pending === 0);
    });

    it("of a waiting up-conversion keeps the old mode", async () => {
      const blocker = await other.lock("r", { mode: "PR" });
      const lock = await ls.lock("r", { mode: "PR" });
      await assert.rejects(lock.convert("EX", { signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
      assert.equal(lock.mode, "PR");
      await blocker.release();
      await lock.convert("EX");
      assert.equal(lock.mode, "EX");
    });

    it("of an up-conversion that is granted all the same converts back", async () => {
      for (let round = 0; round < 50; round++) {
        const lock = await ls.lock("r", { mode: "NL" });
        const abort = new AbortController();
        const conversion = lock.convert("EX", { signal: abort.signal });
        await Promise.resolve();
        abort.abort();
        await assert.rejects(conversion, { name: "AbortError" });
        const probe = await other.lock("r", { mode: "EX", signal: AbortSignal.timeout(2000) });
        assert.equal(lock.mode, "NL");
        await probe.release();
        await lock.release();
      }
    });

    it("of a conversion waiting for its turn takes its place out of the queue", async () => {
      const blocker = await other.lock("r", { mode: "PR" });
      const lock = await ls.lock("r", { mode: "NL" });
      const first = lock.convert("EX");
      const second = lock.convert("PR", { signal: AbortSignal.timeout(10) });
      const third = lock.convert("CR");
      await assert.rejects(second, { name: "TimeoutError" });
      await blocker.release();
      await first;
      await third;
      assert.equal(lock.mode, "CR");
    });
  });

  it("one signal serves many requests without a warning", async () => {
    const warnings: string[] = [];
    const listen = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", listen);
    const { signal } = new AbortController();
    const locks = await Promise.all(Array.from({ length: 50 }, (_, i) => ls.lock(`r${i}`, { signal })));
    await Promise.all(locks.map((lock) => lock.convert("PR", { signal })));
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", listen);
    assert.deepEqual(warnings, []);
  });

  it("an aborted signal ends all that share it", async () => {
    const held = await other.lock("r");
    const abort = new AbortController();
    const waiting = Array.from({ length: 20 }, () => ls.lock("r", { signal: abort.signal }));
    const ended = Promise.all(waiting.map((request) => assert.rejects(request, { name: "AbortError" })));
    await until("all wait", () => levers.countLocks() === 21);
    abort.abort();
    await ended;
    await held.release();
  });

  it("what only looks like an AbortSignal is refused before anything is asked for", async () => {
    const forged = Object.create(AbortSignal.prototype, { throwIfAborted: { value: () => undefined } }) as AbortSignal;
    await assert.rejects(ls.lock("r", { signal: forged }), { code: "ERR_INVALID_ARG_TYPE" });
    assert.equal(levers.countLocks(), 0);
  });

  describe("after the end", () => {
    it("convert says ERR_LOCK_RELEASED", async () => {
      const lock = await ls.lock("r");
      await lock.release();
      await assert.rejects(lock.convert("NL"), {
        name: "Error",
        code: "ERR_LOCK_RELEASED",
        message: /'r' has been released/,
      });
    });

    it("a release ends a conversion that waits", async () => {
      const blocker = await other.lock("r", { mode: "PR" });
      const lock = await ls.lock("r", { mode: "PR" });
      const conversion = lock.convert("EX");
      const queued = lock.convert("CR");
      const ended = Promise.all([
        assert.rejects(conversion, { code: "ERR_LOCK_RELEASED" }),
        assert.rejects(queued, { code: "ERR_LOCK_RELEASED" }),
      ]);
      await lock.release();
      await ended;
      assert.equal(levers.countLocks(), 1);
      await blocker.release();
    });

    it("everything on a closed handle says ERR_LOCKSPACE_CLOSED, and waiting requests end with it", async () => {
      const held = await other.lock("r");
      const mine = await ls.lock("s");
      const waiting = ls.lock("r");
      const rejected = assert.rejects(waiting, { code: "ERR_LOCKSPACE_CLOSED" });
      await Promise.all([ls.close(), ls.close()]);
      await rejected;
      assert.ok(mine.released && ls.closed);
      await mine.release();
      await assert.rejects(ls.lock("r"), { code: "ERR_LOCKSPACE_CLOSED" });
      await assert.rejects(ls.tryLock("r"), { code: "ERR_LOCKSPACE_CLOSED" });
      assert.equal(levers.countLocks(), 1);
      await held.release();
    });
  });

  describe("errors of the kernel", () => {
    for (const [errno, code] of [
      [12, "ENOMEM"],
      [2, "ENOENT"],
      [22, "EINVAL"],
      [52, "EBADE"],
    ] as const) {
      it(`${code} of a request is a DlmError that names the resource`, async () => {
        levers.failWrites(errno, 1);
        await assert.rejects(ls.lock("res"), {
          name: "Error",
          code,
          errno: -errno,
          syscall: "dlm_lock",
          resource: "res",
          lockspace: "t",
        });
        await (await ls.lock("res")).release();
      });
    }

    it("EBUSY of a conversion or release is waited out", async () => {
      const lock = await ls.lock("r");
      levers.failWrites(16, 3);
      await lock.convert("NL");
      levers.failWrites(16, 3);
      await lock.release();
      assert.equal(levers.countLocks(), 0);
    });

    it("a failing conversion leaves the lock as it was", async () => {
      const lock = await ls.lock("r", { mode: "PR" });
      levers.failWrites(12, 1);
      await assert.rejects(lock.convert("EX"), { code: "ENOMEM", syscall: "dlm_convert", lkid: lock.id });
      assert.equal(lock.mode, "PR");
      await lock.convert("EX");
    });

    it("a failing way back after an abort leaves the mode that the kernel granted", async () => {
      const lock = await ls.lock("r", { mode: "NL" });
      const abort = new AbortController();
      const conversion = lock.convert("EX", { signal: abort.signal });
      await new Promise<void>((resolve) => {
        process.nextTick(resolve);
      });
      // The double grants while this thread, and so the reading of the grant, stands still.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      levers.failWrites(12, 1_000_000); // of the cancel, however often it is tried, and of the way back
      abort.abort();
      await assert.rejects(conversion, { name: "AbortError" });
      await until("the truth shows", () => lock.mode === "EX");
      levers.failWrites(0, 0);
      assert.equal(await other.tryLock("r"), null);
      await lock.convert("NL");
      await (await other.lock("r")).release();
    });

    it("a release that the kernel does not take leaves the lock held, to be released again", async () => {
      const lock = await ls.lock("r");
      levers.failWrites(12, 1);
      await assert.rejects(lock.release(), { code: "ENOMEM", syscall: "dlm_unlock" });
      assert.equal(levers.countLocks(), 1);
      assert.equal(lock.released, false);
      assert.equal(ls.held, 1);
      await lock.release();
      assert.equal(levers.countLocks(), 0);
    });

    it("a value for a release that comes too late to be written is reported, and the lock released", async () => {
      const keeper = await other.lock("r", { mode: "NL", lvb: true });
      const lock = await ls.lock("r");
      const conversion = lock.convert("NL");
      await new Promise<void>((resolve) => {
        process.nextTick(resolve);
      });
      const release = lock.release({ lvb: Buffer.from("late") });
      await assert.rejects(release, { code: "ERR_INVALID_ARG_VALUE", message: /cannot be written from mode NL/ });
      await conversion;
      assert.equal(levers.countLocks(), 1);
      await keeper.release();
    });

    it("a device that cannot be read any more fails what is pending and what comes, and still closes", async () => {
      const blocker = await other.lock("r");
      const handle = await Lockspace.open("t");
      const mine = await handle.lock("s");
      const waiting = handle.lock("r");
      const lost = once(handle, "lost");
      const { signal } = mine;
      levers.failReads(5, 1);
      const why = { code: "ERR_LOCKSPACE_LOST", message: /'t' is lost: its device failed/ };
      await assert.rejects(Promise.all([waiting, handle.lock("u")]), why);
      const [error] = (await lost) as [LockStateError];
      assert.deepEqual([(error.cause as DlmError).code, (error.cause as DlmError).syscall], ["EIO", "read"]);
      assert.equal(signal.reason, error);
      assert.deepEqual([mine.state, handle.state, handle.held], ["lost", "lost", 0]);
      await assert.rejects(handle.lock("v"), why);
      await assert.rejects(mine.convert("PR"), why);
      await assert.rejects(handle.purge(), why);
      await mine.release();
      // the kernel's locks went with the handle, which nobody had to close
      await until("only the blocker is left", () => levers.countLocks() === 1);
      await handle.close();
      await blocker.release();
    });

    it("a loss ends conversions and releases in flight, and the close that waits for them", async () => {
      const handle = await Lockspace.open("t");
      const converting = await handle.lock("c", { mode: "PR" });
      const blocker = await other.lock("c", { mode: "PR" });
      const leaving = await handle.lock("l");
      const conversion = assert.rejects(converting.convert("EX"), { code: "ERR_LOCKSPACE_LOST" });
      levers.stall(true);
      const release = leaving.release();
      const queued = assert.rejects(handle.lock("q"), { code: "ERR_LOCKSPACE_CLOSED" });
      const closed = handle.close();
      levers.failReads(5, 1);
      levers.stall(false);
      await Promise.all([conversion, release, queued, closed]);
      assert.equal(handle.state, "lost");
      await blocker.release();
      await until("the double has closed it", () => levers.countHandles() === 2);
    });
  });

  describe("opening", () => {
    it("says what is missing", async () => {
      await assert.rejects(Lockspace.open("absent"), { code: "ENOENT", syscall: "open", lockspace: "absent" });
      levers.failOpens(13, 1);
      await assert.rejects(Lockspace.open("t"), { code: "EACCES", path: "/dev/dlm_t" });
      levers.setModuleLoaded(false);
      await assert.rejects(Lockspace.open("new", { create: true }), {
        code: "ENOENT",
        path: "/dev/dlm-control",
        message: /modprobe dlm/,
      });
      levers.setModuleLoaded(true);
    });

    it("refuses another version of the interface, naming both", async () => {
      levers.setVersion(7, 0, 0);
      try {
        await assert.rejects(Lockspace.open("t"), {
          code: "EBADE",
          message: /version 7\.0\.0, this library speaks 6\.x/,
        });
      } finally {
        levers.setVersion(6, 0, 2);
      }
    });

    it("refuses removal while the lockspace is open, and of one that is not there", async () => {
      const lock = await ls.lock("r");
      const busy = { code: "EBUSY", syscall: "dlm_remove_lockspace", holders: [process.pid] };
      await assert.rejects(Lockspace.remove("t"), busy);
      await assert.rejects(Lockspace.remove("absent"), { code: "ENOENT" });
      await lock.release();
    });

    it("closes what an aborted open brings", async () => {
      const before = levers.countHandles();
      await assert.rejects(Lockspace.open("t", { signal: AbortSignal.abort(new Error("early")) }), /early/);
      const abort = new AbortController();
      const opening = Lockspace.open("t", { signal: abort.signal });
      abort.abort();
      await assert.rejects(opening, { name: "AbortError" });
      await new Promise((resolve) => setTimeout(resolve, 50));
      await until("no handle is left over", () => levers.countHandles() === before);
    });
  });

  describe("operations without an answer of their own", () => {
    it("releaseAll drops locks, conversions and waiting requests in one request", async () => {
      const blocker = await other.lock("w", { mode: "PR" });
      const held = await ls.lock("h");
      const converting = await ls.lock("w", { mode: "PR" });
      const ended = Promise.all([
        assert.rejects(converting.convert("EX"), { code: "ERR_LOCK_RELEASED" }),
        assert.rejects(ls.lock("w"), { code: "ERR_LOCK_RELEASED" }),
      ]);
      await ls.releaseAll();
      await ended;
      assert.deepEqual([held.state, converting.state, ls.held, ls.pending], ["released", "released", 0, 0]);
      assert.equal(levers.countLocks(), 1);
      await held.release();
      // what comes after it stays
      const next = await ls.lock("h");
      await next.release();
      await blocker.release();
    });

    it("a releaseAll that the kernel does not take releases one by one", async () => {
      const blocker = await other.lock("w");
      const held = await ls.lock("h");
      const waiting = assert.rejects(ls.lock("w"), { code: "ERR_LOCK_RELEASED" });
      await until("the request waits", () => levers.countLocks() === 3);
      levers.failWrites(12, 1);
      await ls.releaseAll();
      await waiting;
      assert.equal(held.state, "released");
      await until("only the blocker is left", () => levers.countLocks() === 1);
      await blocker.release();
    });

    it("cancelDeadlock ends a waiting request or conversion of this handle, by its id, and nobody else's", async () => {
      const blocker = await other.lock("r", { mode: "PR" });
      const mine = await ls.lock("r", { mode: "PR" });
      const conversion = assert.rejects(mine.convert("EX"), { code: "EDEADLK", syscall: "dlm_convert" });
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(await other.cancelDeadlock(mine.id), false);
      assert.equal(await ls.cancelDeadlock(mine.id), true);
      await conversion;
      assert.equal(mine.mode, "PR");
      assert.equal(await ls.cancelDeadlock(mine.id), false, "nothing waits any more");
      assert.equal(await ls.cancelDeadlock(4711), false);
      const request = assert.rejects(ls.lock("r"), { code: "EDEADLK", syscall: "dlm_lock" });
      await until("it waits", () => levers.countLocks() === 3);
      assert.equal(await ls.cancelDeadlock(mine.id + 1), true);
      await request;
      await blocker.release();
    });

    it("a release by force ends a conversion with the lock", async () => {
      const blocker = await other.lock("r", { mode: "PR" });
      const lock = await ls.lock("r", { mode: "PR" });
      const conversion = assert.rejects(lock.convert("EX"), { code: "ERR_LOCK_RELEASED" });
      const queued = assert.rejects(lock.convert("NL"), { code: "ERR_LOCK_RELEASED" });
      await lock.release({ force: true });
      await Promise.all([conversion, queued]);
      assert.equal(levers.countLocks(), 1);
      await blocker.release();
    });

    it("a release by force that the kernel does not take leaves lock and conversion as they were", async () => {
      const blocker = await other.lock("r", { mode: "PR" });
      const lock = await ls.lock("r", { mode: "PR" });
      const conversion = lock.convert("EX");
      await new Promise((resolve) => setTimeout(resolve, 20));
      levers.failWrites(12, 1);
      await assert.rejects(lock.release({ force: true }), { code: "ENOMEM", syscall: "dlm_unlock" });
      assert.equal(lock.released, false);
      await blocker.release();
      await conversion;
      assert.equal(lock.mode, "EX");
    });

    it("a conversion that is refused under a release by force leaves nothing that keeps the process alive", async () => {
      let keepsAlive = false;
      useAddon({
        ...addon,
        openLockspace: (name, create, exclusive, mode, callback) => {
          addon.openLockspace(name, create, exclusive, mode, (...[failure, channel]) => {
            if (!channel) {
              callback(failure, channel);
              return;
            }
            const setRef = (on: boolean): void => {
              keepsAlive = on;
              channel.setRef(on);
            };
            const seen = {
              ...{ minor: channel.minor, created: channel.created, path: channel.path, version: channel.version },
              start: channel.start.bind(channel),
              submit: channel.submit.bind(channel),
              close: channel.close.bind(channel),
              setRef,
            };
            callback(undefined, seen);
          });
        },
      });
      const handle = await Lockspace.open("t");
      useAddon(addon);
      const lock = await handle.lock("r", { mode: "PR", onBlocking: () => undefined });
      assert.equal(keepsAlive, true);
      levers.failWrites(12, 1);
      const conversion = assert.rejects(lock.convert("EX"));
      await lock.release({ force: true });
      await conversion;
      assert.equal(keepsAlive, false);
      await handle.close();
    });

    it("a creation can be exclusive, and say who may use the device", async () => {
      const made = await Lockspace.open("made", { create: { exclusive: true, mode: 0o640 } });
      assert.equal(levers.modeOf("made"), 0o640);
      await assert.rejects(Lockspace.open("made", { create: { exclusive: true } }), {
        code: "EEXIST",
        message: /joined the lockspace already/,
      });
      await made.close();
      await Lockspace.remove("made");
    });
  });

  it("keeps the event loop free while the kernel is stuck", async () => {
    levers.stall(true);
    const requests = Array.from({ length: 100 }, (_, i) => ls.lock(`r${i}`));
    let latest = 0;
    for (let i = 0; i < 20; i++) {
      const before = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 10));
      latest = Math.max(latest, performance.now() - before - 10);
    }
    assert.ok(latest < 250, `a 10 ms timer was ${latest} ms late`);
    levers.stall(false);
    assert.equal((await Promise.all(requests)).length, 100);
  });

  it("carries 10,000 requests at once", async () => {
    const locks = await Promise.all(Array.from({ length: 10_000 }, (_, i) => ls.lock(`r${i}`, { mode: "PR" })));
    assert.equal(ls.held, 10_000);
    assert.equal(new Set(locks.map((lock) => lock.id)).size, 10_000);
    await Promise.all(locks.map((lock) => lock.release()));
    assert.equal(levers.countLocks(), 0);
  });
});
