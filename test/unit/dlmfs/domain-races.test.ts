// What a domain's handle does when its steps cross each other, or fail: over a fake of the opener.

import assert from "node:assert/strict";

import { DlmfsError } from "../../../lib/errors";
import { Opener } from "../../../lib/dlmfs/opener";
import { useAddon } from "../../../lib/native";

import { FakeMount, tick } from "./fake-mount";

async function rejection(promise: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  const late = new Promise((resolve) => setTimeout(resolve, 5000).unref());
  try {
    await Promise.race([promise, late]);
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  return assert.fail("it was expected to reject");
}

describe("a domain's handle, in races and failures", () => {
  const fake = FakeMount.forEach();
  const open: FakeMount["open"] = async (options) => fake.open(options);
  const asked: FakeMount["asked"] = async (name, count) => fake.asked(name, count);
  const take: FakeMount["take"] = async (domain, name, options) => fake.take(domain, name, options);
  let opener: FakeMount["opener"];
  let mount: string;
  let addon: FakeMount["addon"];

  beforeEach(() => {
    ({ opener, mount, addon } = fake);
  });

  it("drops that overlap leave one queue: who comes after the first one still excludes who comes after the second", async () => {
    await using domain = await open();
    await (await take(domain, "x")).lock.release();
    const first = domain.drop("x");
    await new Promise((resolve) => setImmediate(resolve));
    const second = domain.drop("x").catch(() => undefined);
    await first;
    const one = domain.lock("x");
    await second;
    const two = domain.lock("x");
    await tick();
    assert.equal((await asked("x")).length, 1, "the second one has to wait for the first one's release");
    opener.grant(opener.waiting("x")[0]!);
    const lock = await one;
    await lock.release();
    opener.grant((await asked("x"))[0]!);
    await (await two).release();
  });

  it("who comes while a lock is dropped waits for that, and sees to both files anew", async () => {
    for (const exclusion of ["node", "handle"]) {
      await using domain = await open({ exclusion });
      await (await take(domain, "x")).lock.release();
      opener.log.length = 0;
      const drop = domain.drop("x");
      const next = domain.lock("x", { fileMode: 0o600 });
      opener.grant((await asked("x"))[0]!);
      await drop;
      await (await next).release();
      assert.deepEqual(
        opener.log.map((line) => line.replace(`${mount}/d/`, "")),
        ["unlink .gate-x", "unlink x", "create x", "stat x", "create .gate-x", "acquire x"],
      );
      await domain.leave();
      assert.ok(!opener.existing.has(`${mount}/d/x`), "what it has made anew is its own to drop");
    }
  });

  it("a drop that others stop halfway has the gate's file seen to again", async () => {
    await using domain = await open();
    await (await take(domain, "x")).lock.release();
    opener.answers.set(`unlink ${mount}/d/x`, { errno: -16, syscall: "fcntl" });
    assert.equal((await rejection(domain.drop("x"))).code, "EBUSY");
    opener.answers.clear();
    opener.log.length = 0;
    await (await take(domain, "x")).lock.release();
    assert.ok(opener.log.includes(`create ${mount}/d/.gate-x`));
  });

  it("released in the moment in which it is granted anew: released, with nothing held", async () => {
    await using domain = await open();
    const { lock } = await take(domain, "x");
    const down = rejection(lock.downgrade());
    const file = opener.grant((await asked("x"))[0]!);
    const release = lock.release();
    assert.equal((await down).code, "ERR_LOCK_RELEASED");
    await release;
    assert.equal(lock.state, "released");
    assert.equal(file.closed, true);
    assert.equal(lock.fd, -1);
    // nobody is left in front of the next one
    await (await take(domain, "x")).lock.release();
  });

  it("an abandoned raw trylock is nobody's grant: who waits asks anew", async () => {
    await using domain = await open();
    const trying = domain.tryLock("x", { raw: true, patience: 1 });
    const [raw] = await asked("x");
    opener.phase(raw!);
    assert.equal(await trying, null);
    const waiting = domain.lock("x");
    const [, request] = await asked("x", 2);
    assert.equal(request!.request.path, `${mount}/d/x`);
    opener.refuse(raw!, -26, "open");
    opener.grant(request!);
    await (await waiting).release();
  });

  it("closing gives everything back, though a lock's file cannot be dropped, and says so", async () => {
    for (const end of ["close", "leave"] as const) {
      const domain = await open();
      const { file } = await take(domain, "x", { uncached: true });
      opener.answers.set(`unlink ${mount}/d/x`, { errno: -13, syscall: "unlink" });
      let closed = 0;
      domain.on("close", () => closed++);
      assert.equal((await rejection(domain[end]())).code, "EACCES");
      assert.equal(file.closed, true);
      assert.deepEqual(
        opener.files.filter((other) => !other.closed),
        [],
        end,
      );
      assert.equal(closed, 1);
      opener.answers.clear();
    }
    assert.equal(opener.closed, 2);
  });

  it("leaving when the opener is killed gives everything back", async () => {
    const domain = await open();
    await (await take(domain, "x")).lock.release();
    const left = rejection(domain.leave());
    while (!opener.log.some((line) => line.startsWith("unlink"))) await new Promise((resolve) => setImmediate(resolve));
    opener.end();
    assert.equal((await left).code, "ERR_OPENER_LOST");
    assert.deepEqual(
      opener.files.filter((other) => !other.closed),
      [],
    );
    await tick();
  });

  it("a release whose drop is overtaken by close() is a release", async () => {
    const domain = await open();
    const { lock, file } = await take(domain, "x", { uncached: true });
    const release = lock.release();
    await domain.close();
    await release;
    assert.equal(file.closed, true);
  });

  it("an opener that cannot be started fails what was asked, by a typed error, and is tried again", async () => {
    let fails = true;
    useAddon({
      ...addon,
      startOpener: (...args) => {
        if (fails) throw Object.assign(new Error("eventfd"), { code: "EMFILE", errno: -24, syscall: "eventfd" });
        addon.startOpener(...args);
      },
    });
    const error = await rejection(open());
    assert.equal(error.code, "EMFILE");
    assert.ok(error instanceof DlmfsError);
    const shared = Opener.join("process");
    await rejection(shared.perform({ op: "stat", path: "/" }));
    fails = false;
    await (await open()).close();
    shared.leave();
  });

  it("a request that cannot even be put fails alone", async () => {
    useAddon({
      ...addon,
      startOpener: (executable, isolation, started, events, end) => {
        addon.startOpener(
          executable,
          isolation,
          (failure, real) => {
            started(
              failure,
              real && {
                ...real,
                request: (id, request) => {
                  if (request.path === "long") throw new RangeError("path has at most 4096 bytes");
                  real.request(id, request);
                },
              },
            );
          },
          events,
          end,
        );
      },
    });
    const shared = Opener.join("process");
    for (let twice = 0; twice < 2; twice++) {
      const bad = rejection(shared.perform({ op: "stat", path: "long" }));
      const good = shared.perform({ op: "list", path: "/" });
      assert.equal((await bad).name, "RangeError");
      assert.equal((await good).errno, 0);
    }
    shared.leave();
  });

  it("nothing can be asked of an opener that all have left, and nothing starts another", async () => {
    const left = Opener.join("process");
    left.leave();
    assert.equal((await rejection(left.perform({ op: "stat", path: "/" }))).code, "ERR_DOMAIN_CLOSED");
    assert.equal(opener.started, 0);
  });

  it("refuses paths that are too long for the kernel", async () => {
    for (const option of ["mount", "runDirectory"]) {
      const error = await rejection(open({ [option]: `/${"d".repeat(4096)}` }));
      assert.equal(error.code, "ERR_INVALID_ARG_VALUE", option);
      assert.match(error.message, new RegExp(option));
    }
  });
});
