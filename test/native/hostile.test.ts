import assert from "node:assert/strict";
import fs from "node:fs";
import fsPromises from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { Lockspace } from "../../lib/dlm";
import { RecoveryProbe } from "../../lib/fs-dlm/watch/recovery";
import { type NativeChannel, type NativeAddon, useAddon } from "../../lib/native";

import { loadDouble, until } from "./double";

const { addon, levers } = loadDouble();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const tick = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(resolve);
  });
/** The double goes on while this thread, and so the reading of results, stands still. */
const freeze = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

async function settles(what: string, promise: Promise<unknown>, ms = 1500): Promise<void> {
  const ended = promise.then(
    () => true,
    () => true,
  );
  assert.ok(await Promise.race([ended, sleep(ms).then(() => false)]), `${what} has not settled within ${ms} ms`);
}

/** What is thrown with nobody to catch it while `body` runs, and shortly after. */
async function uncaughtDuring(body: () => Promise<void>): Promise<Error[]> {
  const caught: Error[] = [];
  const kept = process.listeners("uncaughtException");
  const rejected = process.listeners("unhandledRejection");
  process.removeAllListeners("uncaughtException");
  process.removeAllListeners("unhandledRejection");
  process.on("uncaughtException", (error) => caught.push(error));
  process.on("unhandledRejection", (reason) => caught.push(new Error(`unhandled rejection: ${String(reason)}`)));
  try {
    await body();
    await sleep(50);
  } finally {
    process.removeAllListeners("uncaughtException");
    process.removeAllListeners("unhandledRejection");
    for (const listener of kept) process.on("uncaughtException", listener);
    for (const listener of rejected) process.on("unhandledRejection", listener);
  }
  return caught;
}

const text = (lvb: Uint8Array | undefined): string =>
  Buffer.from(lvb ?? [])
    .toString()
    .replace(/\0+$/, "");

describe("lib/dlm under attack", () => {
  let count = 0;
  let name: string;
  let ls: Lockspace;
  let other: Lockspace;
  const readStatus = Object.getOwnPropertyDescriptor(RecoveryProbe.prototype, "read") as PropertyDescriptor;

  beforeEach(async () => {
    useAddon(addon);
    name = `hostile${count++}`;
    ls = await Lockspace.open(name, { create: true });
    other = await Lockspace.open(name);
  });
  afterEach(async () => {
    Object.defineProperty(RecoveryProbe.prototype, "read", readStatus);
    levers.stall(false);
    levers.failWrites(0, 0);
    levers.failReads(0, 0);
    await Promise.race([Promise.all([other.close(), ls.close()]), sleep(500)]);
    useAddon(addon);
  });

  // first: it needs the one listening socket of the process to be closed
  it("a handle that could not be opened does not keep others from hearing of their loss", async () => {
    await Promise.all([ls.close(), other.close()]);
    let announce: ((events: never[], overflowed: boolean) => void) | undefined;
    let failures = 1;
    useAddon({
      ...addon,
      watchUevents: (callback) => {
        if (failures-- > 0) throw new Error("socket: Too many open files");
        announce = callback;
        return { setRef: () => undefined, close: () => undefined };
      },
    });
    await assert.rejects(Lockspace.open(name));
    const handle = await Lockspace.open(name);
    const lock = await handle.lock("a");
    const offline = [{ action: "offline", lockspace: name, devpath: "" }] as never[];
    const thrown = await uncaughtDuring(() => {
      try {
        announce?.(offline, false);
      } catch (error) {
        return Promise.reject(error as Error).catch(() => undefined);
      }
      return Promise.resolve();
    });
    assert.deepEqual(thrown, []);
    assert.equal(lock.state, "lost");
    await handle.close();
  });

  // ---- locks that belong to somebody else -------------------------------------------------------------------------

  it("releaseAll ends no request that was made after it", async () => {
    const blocker = await other.lock("r");
    const tried = ls.tryLock("r").catch(() => undefined);
    await tick();
    freeze(50); // refused, and not read yet
    levers.stall(true);
    const all = ls.releaseAll();
    await tried;
    await sleep(50); // now it is read, and its slot free
    const next = ls.lock("s");
    await sleep(20);
    levers.stall(false);
    await all;
    const lock = await next; // DLM_EUNLOCK, while the kernel has granted
    assert.equal(lock.state, "granted");
    await blocker.release();
  });

  it("a conversion that waits for its retry is never sent for the slot's next lock", async () => {
    for (let round = 0; round < 20; round++) {
      const lock = await ls.lock("r");
      levers.failWrites(16, 1_000_000);
      const conversion = lock.convert("NL").catch(() => undefined);
      await sleep(60);
      levers.failWrites(0, 0);
      await lock.release({ force: true });
      await conversion;
      const next = await ls.lock("r");
      await sleep(40);
      const thief = await other.tryLock("r");
      assert.equal(next.mode, "EX");
      assert.equal(thief, null, `round ${round}: two hold EX`);
      await next.release();
    }
  });

  it("a demoting conversion that the kernel never took leaves the lock as it was", async () => {
    const lock = await ls.lock("r", { mode: "PW" });
    levers.failWrites(12, 1);
    await assert.rejects(lock.convert("EX", { deadlock: "demote" }), { code: "ENOMEM" });
    await sleep(50);
    assert.equal(lock.mode, "PW");
    assert.equal(await other.tryLock("r", { mode: "PW" }), null);
  });

  // ---- promises that never settle ---------------------------------------------------------------------------------

  it("a release under way when releaseAll drops its answer settles", async () => {
    // What the kernel does (purge_proc_locks()): results that nobody has read go with the locks.
    const purging: NativeAddon = {
      ...addon,
      openLockspace: (lockspace, create, exclusive, mode, callback) => {
        addon.openLockspace(lockspace, create, exclusive, mode, (...[failure, channel]) => {
          if (!channel) {
            callback(failure, undefined);
            return;
          }
          const native = channel;
          let purged = false;
          let words = new Uint32Array(0);
          const wrapped: NativeChannel = {
            minor: native.minor,
            created: native.created,
            path: native.path,
            version: native.version,
            start: (records, requests, dispatch) => {
              words = new Uint32Array(requests);
              const fields = new Int32Array(records);
              native.start(records, requests, (n, closed, errno) => {
                if (n > 0 && purged && fields[0] === 0) return;
                dispatch(n, closed, errno);
              });
            },
            submit: (n) => {
              for (let i = 0; i < n; i++) if (words[i * 36] === 7) purged = true;
              native.submit(n);
            },
            setRef: (on) => {
              native.setRef(on);
            },
            close: (keepAlive) => {
              native.close(keepAlive);
            },
          };
          callback(undefined, wrapped);
        });
      },
    };
    useAddon(purging);
    const handle = await Lockspace.open(name);
    const lock = await handle.lock("r");
    const release = lock.release();
    const all = handle.releaseAll();
    await Promise.all([settles("release()", release), settles("releaseAll()", all)]);
    await handle.close();
  });

  it("a conversion of a persistent lock settles when its handle closes", async () => {
    const handle = await Lockspace.open(name);
    const blocker = await other.lock("r", { mode: "PR" });
    const lock = await handle.lock("r", { mode: "PR", persistent: true });
    const settled = settles("convert()", lock.convert("EX"));
    await sleep(20);
    await handle.close();
    await settled;
    await blocker.release();
  });

  it("a release of a persistent lock settles when its handle closes", async () => {
    const handle = await Lockspace.open(name);
    const lock = await handle.lock("r", { persistent: true });
    const release = lock.release();
    await handle.close();
    await settles("release()", release);
  });

  it("a release by force that was refused leaves a conversion that can be given up", async () => {
    const handle = await Lockspace.open(name);
    const blocker = await other.lock("r", { mode: "PR" });
    const lock = await handle.lock("r", { mode: "PR" });
    const conversion = lock.convert("EX").catch(() => undefined);
    await sleep(20);
    levers.failWrites(12, 1);
    await assert.rejects(lock.release({ force: true }), { code: "ENOMEM" });
    await settles("close()", handle.close());
    await blocker.release();
    await conversion;
  });

  it("a cancel that the kernel does not take does not hold up close()", async () => {
    const handle = await Lockspace.open(name);
    const blocker = await other.lock("r");
    const abort = new AbortController();
    const waiting = handle.lock("r", { signal: abort.signal }).catch(() => undefined);
    await sleep(20);
    levers.failWrites(12, 1);
    abort.abort();
    await waiting;
    await sleep(20);
    await settles("close()", handle.close());
    await blocker.release();
  });

  it("cancelDeadlock ends a conversion that waits for its retry", async () => {
    const blocker = await other.lock("r", { mode: "PR" });
    const lock = await ls.lock("r", { mode: "PR" });
    levers.failWrites(16, 1_000_000);
    const conversion = lock.convert("EX").catch(() => undefined);
    await sleep(30);
    assert.equal(await ls.cancelDeadlock(lock.id), true);
    await sleep(30);
    levers.failWrites(0, 0);
    await settles("the conversion, of which cancelDeadlock() said that it ended it", conversion);
    await settles("release()", lock.release());
    await blocker.release();
  });

  // ---- values -----------------------------------------------------------------------------------------------------

  it("a release by force writes no value that nobody gave, though the conversion was granted just before", async () => {
    const keeper = await ls.lock("r", { mode: "NL", lvb: true });
    await (await ls.lock("r", { lvb: Buffer.from("kept") })).release();
    const blocker = await other.lock("r", { mode: "PR" });
    const lock = await ls.lock("r", { mode: "NL" });
    const conversion = lock.convert("EX", { lvb: true }).catch(() => undefined);
    await sleep(30);
    const gone = blocker.release();
    await tick();
    freeze(50); // granted, and not read yet
    await lock.release({ force: true });
    await Promise.all([gone, conversion]);
    await keeper.convert("PR", { lvb: true });
    assert.ok(
      text(keeper.lvb) === "kept" || keeper.lvbValid === false,
      `the value is '${text(keeper.lvb)}', and said to be valid`,
    );
  });

  it("a release whose first step fails writes no value that nobody gave", async () => {
    const keeper = await other.lock("r", { mode: "NL", lvb: true });
    await (await ls.lock("r", { lvb: Buffer.from("kept") })).release();
    const lock = await ls.lock("r", { lvb: true });
    levers.failWrites(12, 1);
    await lock.release().catch(() => undefined);
    if (!lock.released) await lock.release();
    await keeper.convert("PR", { lvb: true });
    assert.ok(
      text(keeper.lvb) === "kept" || keeper.lvbValid === false,
      `the value is '${text(keeper.lvb)}', and said to be valid`,
    );
  });

  // ---- loss -------------------------------------------------------------------------------------------------------

  it("a listener that releases other locks when one is lost brings nothing down", async () => {
    const handle = await Lockspace.open(name);
    const first = await handle.lock("a");
    const second = await handle.lock("b");
    let release: Promise<void> | undefined;
    first.signal.addEventListener("abort", () => {
      release = second.release();
    });
    const thrown = await uncaughtDuring(async () => {
      levers.failReads(5, 1);
      await assert.rejects(handle.lock("c"), { code: "ERR_LOCKSPACE_LOST" });
      await release;
    });
    assert.deepEqual(
      thrown.map((error) => error.message),
      [],
    );
    await handle.close();
  });

  it("a stall listener that throws does not end the watch", async () => {
    const handle = await Lockspace.open(name);
    await handle.lock("a");
    let state = "stopped";
    Object.defineProperty(RecoveryProbe.prototype, "read", { ...readStatus, value: () => state });
    let lost = false;
    handle.on("lost", () => (lost = true));
    handle.on("stall", () => {
      throw new Error("from the listener");
    });
    const thrown = await uncaughtDuring(async () => {
      await sleep(600);
      state = "gone";
      await sleep(1000);
    });
    assert.deepEqual(
      thrown.map((error) => error.message),
      ["from the listener"],
    );
    assert.equal(lost, true, "the loss was reported");
    await handle.close();
  });

  it("a members listener that throws is an uncaught exception, not an unhandled rejection", async () => {
    Object.defineProperty(RecoveryProbe.prototype, "read", { ...readStatus, value: () => "running" });
    const { readdir, readFile } = fsPromises;
    let nodes = ["1"];
    Object.assign(fsPromises, {
      readdir: () => Promise.resolve(nodes),
      readFile: (path: string) => Promise.resolve(path.split("/").at(-2)),
    });
    try {
      const thrown = await uncaughtDuring(async () => {
        ls.on("members", () => {
          throw new Error("from the listener");
        });
        await sleep(50);
        nodes = ["1", "2"];
        await sleep(700);
        ls.removeAllListeners("members");
      });
      assert.deepEqual(
        thrown.map((error) => error.message),
        ["from the listener"],
      );
    } finally {
      Object.assign(fsPromises, { readdir, readFile });
    }
  });

  it("a dlm_controld that is too busy to answer the first knock is asked again", async () => {
    await Promise.all([ls.close(), other.close()]);
    let knocks = 0;
    useAddon({
      ...addon,
      connectAbstract: () => {
        knocks++;
        return -11;
      },
    });
    const handle = await Lockspace.open(name);
    await handle.lock("a");
    await until("it is asked again", () => knocks > 1, 2000);
    await handle.close();
  });

  // ---- states that lie --------------------------------------------------------------------------------------------

  it("a release that the kernel does not take leaves the lock listening", async () => {
    const told: string[] = [];
    const lock = await ls.lock("r", { onBlocking: (mode) => void told.push(mode) });
    levers.failWrites(12, 1);
    await assert.rejects(lock.release(), { code: "ENOMEM" });
    const waiting = other.lock("r");
    await sleep(100);
    await lock.release();
    await (await waiting).release();
    assert.deepEqual(told, ["EX"]);
  });

  it("adopts as persistent when `persistent` is undefined, as everywhere", async () => {
    const lock = await ls.adopt("r", { persistent: undefined });
    assert.equal(lock?.persistent, true);
  });

  it("a conversion that the kernel did not take makes no lock persistent", async () => {
    const lock = await ls.lock("r");
    levers.failWrites(12, 1);
    await assert.rejects(lock.convert("NL", { persistent: true }), { code: "ENOMEM" });
    assert.equal(lock.persistent, false);
  });

  it("a persistent lock of a closed handle does not say that it is held by it", async () => {
    const handle = await Lockspace.open(name);
    const lock = await handle.lock("r", { persistent: true });
    await handle.close();
    assert.notEqual(lock.state, "granted");
    await assert.rejects(lock.convert("NL"), { code: /^ERR_LOCK/ });
  });

  it("an adoption that crosses close() leaves the orphan an orphan", async () => {
    const kinds: number[] = [];
    useAddon({
      ...addon,
      openLockspace: (lockspace, create, exclusive, mode, callback) => {
        addon.openLockspace(lockspace, create, exclusive, mode, (...result) => {
          const [, native] = result;
          if (!native) {
            callback(...result);
            return;
          }
          let words = new Uint32Array(0);
          callback(undefined, {
            minor: native.minor,
            created: native.created,
            path: native.path,
            version: native.version,
            start: (records, requests, dispatch) => {
              words = new Uint32Array(requests);
              native.start(records, requests, dispatch);
            },
            submit: (n) => {
              for (let i = 0; i < n; i++) kinds.push(words[i * 36] ?? -1);
              native.submit(n);
            },
            setRef: (on) => {
              native.setRef(on);
            },
            close: (keepAlive) => {
              native.close(keepAlive);
            },
          });
        });
      },
    });
    const handle = await Lockspace.open(name);
    const adoption = assert.rejects(handle.adopt("r"), { code: "ERR_LOCKSPACE_CLOSED" });
    await handle.close();
    await adoption;
    assert.deepEqual(kinds, [5], "adopted, and not unlocked");
  });

  it("a status that cannot be read for once is no loss", () => {
    const sysfs = fs.mkdtempSync(path.join(os.tmpdir(), "hostile-"));
    fs.mkdirSync(path.join(sysfs, "x"));
    fs.writeFileSync(path.join(sysfs, "x/recover_status"), "40\n");
    const probe = new RecoveryProbe("x", sysfs);
    const { readSync } = fs;
    try {
      assert.equal(probe.read(), "running");
      fs.readSync = () => {
        throw Object.assign(new Error("ENOMEM"), { code: "ENOMEM" });
      };
      assert.notEqual(probe.read(), "gone");
    } finally {
      fs.readSync = readSync;
      probe.close();
      fs.rmSync(sysfs, { recursive: true });
    }
  });

  it("removeAllListeners() takes away none of its own", async () => {
    Object.defineProperty(RecoveryProbe.prototype, "read", { ...readStatus, value: () => "stopped" });
    const handle = await Lockspace.open(name);
    handle.removeAllListeners();
    let stalled = false;
    handle.on("stall", () => (stalled = true));
    await sleep(700);
    await handle.close();
    assert.equal(stalled, true);
  });
});
