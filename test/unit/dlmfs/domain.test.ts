// What a domain's handle does with an opener, over a fake of it: order, races and failures. What the kernel does with it
// is tested in the lab.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";

import type { DomainLock } from "../../../lib/dlmfs";
import { PATHS } from "../../../lib/dlmfs/paths";

import { FakeMount, tick } from "./fake-mount";

async function rejection(promise: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  try {
    await promise;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  return assert.fail("it was expected to reject");
}

describe("a domain's handle", () => {
  const fake = FakeMount.forEach();
  const open: FakeMount["open"] = async (options) => fake.open(options);
  const asked: FakeMount["asked"] = async (name, count) => fake.asked(name, count);
  const take: FakeMount["take"] = async (domain, name, options) => fake.take(domain, name, options);
  let opener: FakeMount["opener"];
  let mount: string;
  const { clusterStack } = PATHS;

  beforeEach(() => {
    ({ opener, mount } = fake);
  });
  afterEach(() => {
    PATHS.clusterStack = clusterStack;
  });

  it("is opened with a file that keeps the domain, and starts one opener for all handles", async () => {
    const one = await open();
    const two = await open();
    assert.equal(opener.started, 1);
    assert.deepEqual(
      opener.log.filter((line) => line.includes("mkdir") || line.includes("keep")),
      [`mkdir ${mount}/d`, `acquire ${mount}/d/.clusterlock-keep`, `acquire ${mount}/d/.clusterlock-keep`],
    );
    await one.close();
    assert.equal(opener.closed, 0);
    await two.close();
    assert.equal(opener.closed, 1);
    assert.ok(opener.files.every(({ closed }) => closed));
    const again = await open();
    assert.equal(opener.started, 2);
    await again.close();
  });

  it("asks for EX through the gate, for PR without, and by its mode", async () => {
    await using domain = await open();
    const writer = await take(domain, "x", { mode: "EX" });
    const found = opener.log.filter((line) => line.endsWith("/x") || line.includes("gate"));
    assert.deepEqual(found, [
      `create ${mount}/d/x`,
      `stat ${mount}/d/x`,
      `create ${mount}/d/.gate-x`,
      `acquire ${mount}/d/x`,
    ]);
    await writer.lock.release();
    const promise = domain.lock("x", { mode: "PR" });
    const [request] = await asked("x");
    assert.equal(request!.request.gatePath, "");
    assert.equal(request!.request.range, 1);
    opener.grant(request!);
    await (await promise).release();
    await using plain = await open({ exclusiveOnly: true, exclusion: "none" });
    const third = plain.lock("y");
    const [other] = await asked("y");
    assert.equal(other!.request.gatePath, "");
    assert.equal(other!.request.range, 0);
    opener.grant(other!);
    await third;
    assert.equal((await rejection(plain.lock("y", { mode: "PR" }))).code, "ERR_INVALID_ARG_VALUE");
  });

  it("queues its own users, and gives others of the node their turn in between", async () => {
    await using domain = await open();
    const { lock, file } = await take(domain, "x");
    const sidecar = opener.files[0]!;
    const second = domain.lock("x");
    await tick();
    assert.equal(opener.waiting("x").length, 0);
    assert.deepEqual(
      domain.pending().map(({ name, phase }) => ({ name, phase })),
      [{ name: "x", phase: "queued" }],
    );
    await lock.release();
    assert.equal(file.closed, true);
    assert.ok(sidecar.ranges.includes("unlock x"));
    opener.grant((await asked("x"))[0]!);
    await (await second).release();
  });

  it("given up in the queue: nothing was asked, and the next one is not held up", async () => {
    await using domain = await open();
    const { lock } = await take(domain, "x");
    const abort = new AbortController();
    const second = domain.lock("x", { signal: abort.signal });
    const third = domain.lock("x");
    abort.abort(new Error("enough"));
    assert.equal((await rejection(second)).message, "enough");
    await lock.release();
    assert.equal((await asked("x")).length, 1);
    opener.grant(opener.waiting("x")[0]!);
    await (await third).release();
  });

  it("given up while others of the node have it: cancelled, and over when the answer is there", async () => {
    await using domain = await open();
    const abort = new AbortController();
    const first = domain.lock("x", { signal: abort.signal });
    const [request] = await asked("x");
    const second = domain.lock("x");
    abort.abort(new Error("enough"));
    assert.equal((await rejection(first)).message, "enough");
    assert.deepEqual(opener.cancelled, [request!.id]);
    await tick();
    assert.equal(opener.waiting("x").length, 1, "the second one has to wait for the answer");
    opener.refuse(request!, -125, "fcntl");
    opener.grant((await asked("x"))[0]!);
    await (await second).release();
  });

  it("given up while the cancel crosses the way into the kernel: it stays there, and its grant is given back", async () => {
    await using domain = await open();
    const abort = new AbortController();
    const first = domain.lock("x", { signal: abort.signal });
    const [request] = await asked("x");
    abort.abort(new Error("enough"));
    await rejection(first);
    opener.phase(request!);
    assert.deepEqual(
      domain.pending().map(({ name, phase, abandoned }) => ({ name, phase, abandoned })),
      [{ name: "x", phase: "kernel", abandoned: true }],
    );
    const file = opener.grant(request!);
    assert.equal(file.closed, true);
    assert.deepEqual(domain.pending(), []);
  });

  it("given up in the kernel: the next one who asks for the same gets the grant", async () => {
    await using domain = await open();
    const abort = new AbortController();
    const first = domain.lock("x", { signal: abort.signal });
    const [request] = await asked("x");
    opener.phase(request!);
    abort.abort(new Error("enough"));
    await rejection(first);
    const second = domain.lock("x");
    const range = (await asked("x", 2)).find(({ request: { path: file } }) => file === "")!;
    opener.grant(range);
    await tick();
    assert.equal(opener.waiting("x").length, 1);
    const file = opener.grant(request!);
    const lock = await second;
    assert.equal(lock.fd, file.fd);
    assert.equal(file.closed, false);
    await lock.release();
    assert.equal(file.closed, true);
  });

  it("given up in the kernel: who asks for another mode asks anew", async () => {
    await using domain = await open();
    const abort = new AbortController();
    const first = domain.lock("x", { signal: abort.signal, mode: "PR" });
    const [request] = await asked("x");
    opener.phase(request!);
    abort.abort();
    await rejection(first);
    const second = domain.lock("x");
    const anew = (await asked("x", 2)).find(({ id }) => id !== request!.id)!;
    assert.equal(anew.request.path, `${mount}/d/x`);
    opener.grant(anew);
    await (await second).release();
    assert.equal(opener.grant(request!).closed, true);
  });

  it("granted while its taker still waits for others of the node: given back, and asked for anew", async () => {
    await using domain = await open();
    const abort = new AbortController();
    const first = domain.lock("x", { signal: abort.signal });
    const [request] = await asked("x");
    opener.phase(request!);
    abort.abort();
    await rejection(first);
    const second = domain.lock("x");
    const range = (await asked("x", 2)).find(({ request: { path: file } }) => file === "")!;
    // an open file in hand while others of the node are waited for would be a deadlock
    assert.equal(opener.grant(request!).closed, true);
    opener.grant(range);
    const [anew] = await asked("x");
    assert.equal(anew!.request.range, 0);
    opener.grant(anew!);
    await (await second).release();
  });

  it("tryLock: null for what is held here or by others of the node, and without patience for what the cluster has", async () => {
    await using domain = await open();
    const { lock } = await take(domain, "x");
    assert.equal(await domain.tryLock("x"), null);
    assert.equal(await domain.tryLock("x", { mode: "PR" }), null);
    await lock.release();
    const sidecar = opener.files.find(({ ranges }) => ranges.length > 0)!;
    sidecar.rangeAnswer = -11;
    assert.equal(await domain.tryLock("x"), null);
    sidecar.rangeAnswer = 0;
    assert.equal(await domain.tryLock("x", { patience: 20 }), null);
    assert.equal(opener.waiting("x").length, 1, "what is in the kernel stays there");
    opener.phase(opener.waiting("x")[0]!);
    const again = domain.tryLock("x");
    await tick();
    const file = opener.grant(opener.waiting("x")[0]!);
    const held = await again;
    assert.equal(held?.fd, file.fd, "the first request's grant serves the second");
    await held.release();
    sidecar.rangeAnswer = -9;
    assert.equal((await rejection(domain.tryLock("x"))).code, "EBADF");
  });

  it("tryLock raw: ETXTBSY is null, and nothing is asked while an own request is in the kernel", async () => {
    await using domain = await open();
    const raw = domain.tryLock("x", { raw: true });
    const [request] = await asked("x");
    assert.equal((request!.request.flags! & 0o4000) !== 0, true);
    opener.refuse(request!, -26, "open");
    assert.equal(await raw, null);
    const abort = new AbortController();
    const waiting = domain.lock("x", { signal: abort.signal });
    opener.phase((await asked("x"))[0]!);
    abort.abort();
    await rejection(waiting);
    assert.equal(await domain.tryLock("x", { raw: true }), null);
    assert.equal(opener.waiting("x").length, 1);
  });

  it("reads and writes whole values, and says when the kernel has lost one", async () => {
    await using domain = await open();
    const { lock, file } = await take(domain, "x");
    await lock.writeLvb(Buffer.from("a longer value than the next"));
    await lock.writeLvb(Buffer.from("short"));
    assert.deepEqual(Buffer.from(await lock.readLvb()), Buffer.concat([Buffer.from("short"), Buffer.alloc(59)]));
    assert.equal((await rejection(lock.writeLvb(new Uint8Array(65)))).code, "ERR_INVALID_ARG_VALUE");
    assert.equal((await rejection(lock.writeLvb("text" as unknown as Uint8Array))).code, "ERR_INVALID_ARG_TYPE");
    file.value = undefined;
    assert.equal((await rejection(lock.readLvb())).code, "ERR_LVB_INVALID");
    await lock.release();
    assert.equal((await rejection(lock.readLvb())).code, "ERR_LOCK_RELEASED");
    const reader = await take(domain, "x", { mode: "PR" });
    assert.equal((await rejection(reader.lock.writeLvb(new Uint8Array(1)))).code, "EBADF");
  });

  it("leaves zeros of a value that the kernel has lost, and what it was given of any other", async () => {
    PATHS.clusterStack = path.join(mount, "stack");
    writeFileSync(PATHS.clusterStack, "pcmk\n");
    await using domain = await open();
    PATHS.clusterStack = clusterStack;
    const lost = await take(domain, "x");
    lost.file.value = undefined;
    await lost.lock.release();
    assert.deepEqual(lost.file.value, new Uint8Array(64));
    const kept = await take(domain, "x");
    kept.file.value = new Uint8Array(64).fill(7);
    await kept.lock.release();
    assert.deepEqual(kept.file.value, new Uint8Array(64).fill(7));
    const reader = await take(domain, "x", { mode: "PR" });
    reader.file.value = undefined;
    await reader.lock.release();
    assert.equal(reader.file.value, undefined);
  });

  it("tells a writer of a demand at once, a reader when it lasts, and each once", async () => {
    await using domain = await open();
    const told: string[] = [];
    const listen = (mode: string | undefined, lock: DomainLock): void => {
      told.push(`${lock.mode} ${mode ?? "?"}`);
    };
    const writer = await take(domain, "x", { onBlocking: listen });
    writer.file.demand();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(told, ["EX ?"]);
    assert.equal(writer.file.listener, undefined);
    await writer.lock.release();
    const reader = await take(domain, "y", { mode: "PR", onBlocking: listen });
    reader.file.demand();
    await new Promise((resolve) => setImmediate(resolve));
    reader.file.demanded = false;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(told, ["EX ?"], "a demand that was none of the reader's is not told");
    reader.file.demand();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(told, ["EX ?", "PR EX"]);
  });

  it("downgrades and upgrades by closing first, and has nothing when that fails", async () => {
    await using domain = await open();
    const { lock, file } = await take(domain, "x");
    const down = lock.downgrade();
    assert.equal(file.closed, true);
    assert.equal(lock.state, "reopening");
    assert.equal(lock.fd, -1);
    const [request] = await asked("x");
    assert.equal(request!.request.range, 0, "others of the node are kept out throughout");
    opener.grant(request!);
    await down;
    assert.equal(`${lock.state} ${lock.mode}`, "granted PR");
    const abort = new AbortController();
    const up = lock.upgrade({ signal: abort.signal });
    const [second] = await asked("x");
    assert.equal(second!.request.range, 2);
    opener.phase(second!);
    abort.abort(new Error("enough"));
    assert.equal((await rejection(up)).message, "enough");
    assert.equal(lock.state, "released");
    await lock.release();
    assert.equal(opener.grant(second!).closed, true);
  });

  it("released while it is opened anew: the reopening rejects", async () => {
    await using domain = await open();
    const { lock } = await take(domain, "x");
    const down = rejection(lock.downgrade());
    await asked("x");
    await lock.release();
    assert.equal((await down).code, "ERR_LOCK_RELEASED");
    assert.equal(lock.state, "released");
  });

  it("drops an uncached lock with its gate when the last user leaves it, and not before", async () => {
    await using domain = await open();
    const one = await take(domain, "x", { mode: "PR", uncached: true });
    const two = await take(domain, "x", { mode: "PR" });
    await one.lock.release();
    assert.equal(opener.log.filter((line) => line.startsWith("unlink")).length, 0);
    await two.lock.release();
    assert.deepEqual(
      opener.log.filter((line) => line.startsWith("unlink")),
      [`unlink ${mount}/d/.gate-x`, `unlink ${mount}/d/x`],
    );
  });

  it("drops for all of the node what is to be dropped on release, before the next one gets it", async () => {
    await using domain = await open();
    const { lock, file } = await take(domain, "x");
    lock.dropOnRelease();
    const next = domain.lock("x");
    opener.log = [];
    await lock.release();
    assert.equal(file.closed, true);
    assert.deepEqual(opener.log.slice(0, 3), [`stat ${mount}/d/x`, `unlink ${mount}/d/x`, `create ${mount}/d/x`]);
    opener.grant((await asked("x"))[0]!);
    await (await next).release();
    // whoever of the node has it open keeps it; the release is one all the same
    const again = await take(domain, "x");
    again.lock.dropOnRelease();
    opener.answers.set(`unlink ${mount}/d/x`, { errno: -16, syscall: "unlink" });
    await again.lock.release();
    assert.equal(again.lock.state, "released");
  });

  it("drop() refuses what is in use, by errno", async () => {
    await using domain = await open();
    const { lock } = await take(domain, "x");
    assert.equal((await rejection(domain.drop("x"))).code, "EBUSY");
    await lock.release();
    opener.answers.set(`unlink ${mount}/d/x`, { errno: -16, syscall: "fcntl" });
    assert.match((await rejection(domain.drop("x"))).message, /others of this node/);
    opener.answers.clear();
    await domain.drop("x");
    await domain.drop("x");
  });

  it("closed: locks are released, requests rejected, nothing can be asked any more", async () => {
    const domain = await open();
    const { lock, file } = await take(domain, "x");
    const queued = rejection(domain.lock("x"));
    const inKernel = rejection(domain.lock("y"));
    opener.phase((await asked("y"))[0]!);
    await domain.close();
    assert.equal((await queued).code, "ERR_DOMAIN_CLOSED");
    assert.equal((await inKernel).code, "ERR_DOMAIN_CLOSED");
    assert.equal(lock.state, "released");
    assert.equal(file.closed, true);
    assert.equal((await rejection(domain.lock("z"))).code, "ERR_DOMAIN_CLOSED");
    assert.equal((await rejection(domain.leave())).code, "ERR_DOMAIN_CLOSED");
    await domain.close();
  });

  it("leaves with what it has made, and says when others stay", async () => {
    opener.existing.add(`${mount}/d/theirs`);
    const domain = await open();
    await (await take(domain, "mine")).lock.release();
    await (await take(domain, "theirs")).lock.release();
    opener.answers.set(`rmdir ${mount}/d`, { errno: -39, syscall: "rmdir" });
    assert.equal(await domain.leave(), false);
    const unlinked = opener.log.filter((line) => line.startsWith("unlink")).map((line) => path.basename(line));
    assert.deepEqual(unlinked.sort(), [".clusterlock-keep", ".gate-mine", "mine"]);
    opener.answers.clear();
    assert.equal(await (await open()).leave(), true);
  });

  it("leaves without the file of a request that was given up while it was made", async () => {
    const domain = await open();
    const abort = new AbortController();
    const given = rejection(domain.lock("x", { signal: abort.signal }));
    while (!opener.log.includes(`create ${mount}/d/x`)) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await given;
    await tick();
    await domain.leave();
    assert.ok(!opener.existing.has(`${mount}/d/x`));
  });

  it("the opener killed: requests fail with what to do, locks stay, and the next request starts another", async () => {
    await using domain = await open();
    const { lock, file } = await take(domain, "x");
    const waiting = rejection(domain.lock("y"));
    await asked("y");
    opener.end();
    assert.equal((await waiting).code, "ERR_OPENER_LOST");
    assert.equal(lock.state, "granted");
    assert.equal(file.closed, false);
    await (await take(domain, "y")).lock.release();
    assert.equal(opener.started, 2);
  });

  it("lost: every lock's signal aborts, requests reject, and the domain says so once", async () => {
    PATHS.clusterStack = path.join(mount, "stack");
    writeFileSync(PATHS.clusterStack, "pcmk\n");
    const domain = await open();
    PATHS.clusterStack = clusterStack;
    const { lock } = await take(domain, "x");
    const waiting = rejection(domain.lock("x"));
    let lost = 0;
    opener.announce("offline", "another");
    assert.equal(lock.state, "granted");
    domain.on("lost", () => lost++);
    const { signal } = lock;
    opener.announce("offline", "d");
    opener.announce("offline", "d");
    assert.equal((await waiting).code, "ERR_DOMAIN_LOST");
    assert.equal((signal.reason as NodeJS.ErrnoException).code, "ERR_DOMAIN_LOST");
    assert.equal(lock.state, "lost");
    assert.equal(lost, 1);
    await lock.release();
    assert.equal(lock.state, "lost");
    await domain.close();
  });

  it("refuses wrong options by name", async () => {
    for (const [options, message] of [
      [{ exclusion: "all" }, /options\.exclusion.*node, handle, none/],
      [{ isolation: "none" }, /options\.isolation/],
      [{ mode: 0o1777 }, /permission bits/],
      [{ mount: "dlm" }, /absolute path/],
    ] as const) {
      assert.match((await rejection(open(options))).message, message);
    }
    await using domain = await open();
    assert.match((await rejection(domain.lock("x", { mode: "CR" as "PR" }))).message, /PR and EX only/);
    assert.match((await rejection(domain.lock("x", { onBlocking: 7 as never }))).message, /onBlocking/);
    assert.match((await rejection(domain.tryLock("x", { patience: -1 }))).message, /patience/);
    assert.equal(opener.waiting("x").length, 0);
  });
});
