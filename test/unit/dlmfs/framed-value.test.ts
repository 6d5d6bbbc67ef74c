import assert from "node:assert/strict";

import fc from "fast-check";

import { type FrameMark, type FramedReading, FramedValue, decodeFrame, encodeFrame } from "../../../lib/dlmfs/value";

import { FakeCluster, type FakeLock } from "./fake-cluster";
import { runs, stateError, typeError, valueError } from "./support";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const NAME = "config";

/** One process of a node, with what it remembers. */
class Peer {
  readonly value: FramedValue;
  readonly #cluster: FakeCluster;
  readonly #node: number;

  constructor(cluster: FakeCluster, node: number, last?: FrameMark) {
    this.#cluster = cluster;
    this.#node = node;
    this.value = new FramedValue({ last });
  }

  async under<T>(mode: "PR" | "EX", task: (lock: FakeLock) => Promise<T>): Promise<T> {
    const lock = await this.#cluster.node(this.#node).lock(NAME, { mode });
    try {
      return await task(lock);
    } finally {
      await lock.release();
    }
  }

  read(mode: "PR" | "EX" = "PR"): Promise<FramedReading> {
    return this.under(mode, (lock) => this.value.read(lock));
  }

  async state(mode: "PR" | "EX" = "PR"): Promise<string> {
    return (await this.read(mode)).state;
  }

  async acquired<T>(task: (lock: FakeLock, reading: FramedReading) => Promise<T>): Promise<T> {
    const { lock, reading } = await this.value.acquire(this.#cluster.node(this.#node), NAME);
    try {
      return await task(lock, reading);
    } finally {
      await lock.release();
    }
  }

  initialise(text: string): Promise<FrameMark> {
    return this.acquired((lock) => this.value.initialise(lock, bytes(text)));
  }

  write(text: string): Promise<FrameMark> {
    return this.acquired((lock) => this.value.write(lock, bytes(text)));
  }
}

describe("a framed value", () => {
  for (const stack of ["o2cb", "fsdlm"] as const) {
    describe(`on ${stack}`, () => {
      let cluster: FakeCluster;
      let a: Peer;
      let b: Peer;
      const newcomer = (): Peer => new Peer(cluster, 4);

      beforeEach(() => {
        cluster = new FakeCluster(stack);
        [a, b] = [new Peer(cluster, 1), new Peer(cluster, 2)];
      });

      it("goes from node to node, its sequence raised by each write", async () => {
        assert.deepEqual(await a.read("EX"), { state: "empty" });
        const first = await a.initialise("one");
        assert.equal(first.sequence, 1n);
        assert.deepEqual(await b.read(), { state: "ok", payload: bytes("one"), epoch: first.epoch, sequence: 1n });
        const second = await b.write("two");
        assert.deepEqual([second.epoch, second.sequence], [first.epoch, 2n]);
        assert.deepEqual(await a.read(), { state: "ok", payload: bytes("two"), epoch: first.epoch, sequence: 2n });
        assert.deepEqual(a.value.last, second);
      });

      it("is lost to who has seen it, when the node dies that wrote it last", async () => {
        await a.initialise("one");
        await b.write("two");
        const last = a.value.last;
        cluster.die(2);
        const sign = stack === "o2cb" ? "zeros" : "invalid";
        assert.deepEqual(await a.read(), { state: "lost", sign, last });
        assert.equal(await newcomer().state(), stack === "o2cb" ? "empty" : "invalid");
      });

      it("is lost to who knows of it from elsewhere", async () => {
        await a.initialise("one");
        const last = a.value.last;
        cluster.die(1);
        const reading = await new Peer(cluster, 1, last).read();
        assert.deepEqual(reading, { state: "lost", sign: stack === "o2cb" ? "zeros" : "invalid", last });
      });

      it("must be initialised after a loss, in a new epoch and above the highest sequence known", async () => {
        await a.initialise("one");
        const second = await a.write("two");
        await b.read("EX");
        cluster.die(2);
        await assert.rejects(
          b.write("three"),
          stateError("ERR_LVB_LOST", /lock 'config' was read as lost: initialise/),
        );
        const begun = await b.initialise("three");
        assert.notEqual(begun.epoch, second.epoch);
        assert.equal(begun.sequence, 3n);
        assert.equal((await b.write("four")).sequence, 4n);
        assert.equal(await b.state(), "ok");
        const { epoch, sequence } = b.value.last!;
        assert.deepEqual(await a.read(), { state: "reset", payload: bytes("four"), epoch, sequence, previous: second });
        assert.equal(await a.state(), "ok");
        assert.equal((await a.write("five")).sequence, 5n);
      });

      it("of a known epoch, but older than what is known, is stale, and so is one of a former epoch", async () => {
        const old = encodeFrame({ kind: "bytes", epoch: 8n, sequence: 1n, payload: bytes("one") });
        cluster.plant(old);
        assert.equal((await a.write("two")).sequence, 2n);
        const last = a.value.last;
        cluster.plant(old);
        assert.deepEqual(await a.read("EX"), { state: "stale", payload: bytes("one"), epoch: 8n, sequence: 1n, last });
        await assert.rejects(a.write("three"), stateError("ERR_LVB_LOST", /read as stale/));
        await a.initialise("three");
        cluster.plant(encodeFrame({ kind: "bytes", epoch: 8n, sequence: 99n, payload: bytes("far") }));
        assert.equal(await a.state(), "stale");
        assert.equal((await a.initialise("four")).sequence, 100n);
      });

      it("that another has written under the same numbers is stale: one of the two writes is lost", async () => {
        cluster.plant(encodeFrame({ kind: "bytes", epoch: 8n, sequence: 1n, payload: bytes("one") }));
        await a.write("two");
        cluster.plant(encodeFrame({ kind: "bytes", epoch: 8n, sequence: 2n, payload: bytes("too") }));
        assert.equal(await a.state(), "stale");
        const { epoch, sequence } = a.value.last!;
        assert.equal(await new Peer(cluster, 3, { epoch, sequence }).state(), "ok", "without a checksum nobody knows");
      });

      it("of another program is foreign, a damaged one corrupt, and neither is written over by accident", async () => {
        await a.initialise("one");
        cluster.plant(Uint8Array.from(Buffer.from("an old program's bytes".padEnd(64))));
        assert.deepEqual(await a.read(), { state: "foreign", reason: "has no frame: it is another program's" });
        await assert.rejects(a.write("two"), stateError("ERR_LVB_LOST", /read as foreign/));
        const damaged = encodeFrame({ kind: "bytes", epoch: 8n, sequence: 1n, payload: bytes("one") });
        damaged[30] = 1;
        cluster.plant(damaged);
        assert.equal(await a.state(), "corrupt");
        await assert.rejects(a.write("two"), stateError("ERR_LVB_LOST", /read as corrupt/));
        assert.equal((await a.initialise("two")).sequence, 2n);
      });
    });
  }

  describe("that fs/dlm says is invalid", () => {
    let cluster: FakeCluster;
    let a: Peer;
    let b: Peer;

    beforeEach(async () => {
      cluster = new FakeCluster("fsdlm");
      [a, b] = [new Peer(cluster, 1), new Peer(cluster, 2)];
      await a.initialise("one");
      await a.write("two");
      await b.read();
      await a.write("three");
      // the master keeps "two", and the kernel knows that it is not the last
      cluster.die(1);
    });

    it("stays lost for all when it was seen in EX and left at that", async () => {
      const c = new Peer(cluster, 3);
      assert.equal(await c.state("EX"), "invalid");
      assert.deepEqual(await b.read(), { state: "lost", sign: "marked", last: b.value.last });
      assert.deepEqual(await new Peer(cluster, 4).read("EX"), { state: "lost", sign: "marked", last: undefined });
      assert.deepEqual(await c.read(), { state: "lost", sign: "marked", last: undefined });
    });

    it("tells with the mark how far it had come, as far as its finder knew", async () => {
      const c = new Peer(cluster, 3);
      await c.read();
      await b.read("EX");
      const { epoch, sequence } = b.value.last!;
      assert.deepEqual(await c.read("EX"), { state: "lost", sign: "marked", last: { epoch, sequence } });
      assert.equal((await c.initialise("four")).sequence, sequence + 1n);
    });

    it("is as the kernel left it after a look in PR", async () => {
      assert.equal(await new Peer(cluster, 3).state("PR"), "invalid");
      assert.equal(await new Peer(cluster, 4).state("PR"), "invalid");
    });

    it("is not written under the lock that found it so: the kernel would not hand it out on this node", async () => {
      await b.under("EX", async (lock) => {
        assert.deepEqual(await b.value.read(lock), { state: "lost", sign: "invalid", last: b.value.last });
        const refused = stateError(
          "ERR_LVB_INVALID",
          /'config' is lost: release it, which drops it, .*acquire\(\) does/,
        );
        await assert.rejects(b.value.initialise(lock, bytes("four")), refused);
        await assert.rejects(b.value.write(lock, bytes("four")), refused);
      });
    });

    for (const others of [true, false]) {
      it(`is initialised for good once the lock was dropped, ${others ? "with" : "without"} others about`, async () => {
        if (others) await new Peer(cluster, 3).read("PR");
        else cluster.die(1);
        await b.acquired(async (lock, reading) => {
          assert.deepEqual(reading, { state: "lost", sign: others ? "marked" : "zeros", last: b.value.last });
          assert.equal((await b.value.initialise(lock, bytes("four"))).sequence, 3n);
          assert.equal((await b.value.read(lock)).state, "ok");
        });
        // another process of the node, which sees the same copy of the kernel's
        assert.equal(await new Peer(cluster, 2).state("EX"), "ok");
        const reading = await new Peer(cluster, 4).read();
        assert.ok(reading.state === "ok");
        assert.deepEqual(reading.payload, bytes("four"));
      });
    }

    it("is known for lost to who was told so once, though the drop left zeros", async () => {
      const c = new Peer(cluster, 3);
      cluster.die(2);
      assert.equal(await c.state("EX"), "invalid");
      assert.deepEqual(await c.read("EX"), { state: "lost", sign: "zeros", last: undefined });
      await c.initialise("four");
      assert.equal(await c.state(), "ok");
    });

    it("ends in an error when the lock cannot be dropped, and the lock is released", async () => {
      cluster.droppable = false;
      const kept = stateError("ERR_LVB_INVALID", /'config' is lost: somebody of this node has it open/);
      await assert.rejects(b.initialise("four"), kept);
      cluster.droppable = true;
      assert.equal((await b.initialise("four")).sequence, 3n);
    });

    it("comes back as an older value, for whoever does not remember, when somebody locks it without a look", async () => {
      await cluster.blindly(3);
      const reading = await new Peer(cluster, 4).read();
      assert.ok(reading.state === "ok");
      assert.deepEqual(reading.payload, bytes("two"));
      assert.equal(await a.state(), "stale");
    });
  });

  describe("asks for a reading before it writes", () => {
    let cluster: FakeCluster;
    let a: Peer;
    const unread = (why: RegExp): object => stateError("ERR_LVB_UNREAD", why);

    beforeEach(async () => {
      cluster = new FakeCluster("o2cb");
      a = new Peer(cluster, 1);
      await a.initialise("one");
    });

    it("under the same hold", async () => {
      await a.under("EX", (lock) => a.value.read(lock));
      await a.under("EX", async (lock) => {
        await assert.rejects(a.value.write(lock, bytes("two")), unread(/was not read under this hold: read\(\) it/));
        await assert.rejects(a.value.initialise(lock, bytes("two")), unread(/was not read/));
      });
    });

    it("in the same mode: a lock that was upgraded was another's in between", async () => {
      await a.under("PR", async (lock) => {
        await a.value.read(lock);
        await assert.rejects(a.value.write(lock, bytes("two")), valueError(/"lock".*held in PR; to write takes EX/));
        lock.mode = "EX";
        await assert.rejects(a.value.write(lock, bytes("two")), unread(/was not read/));
      });
    });

    it("of what is there now", async () => {
      await a.under("EX", async (lock) => {
        await a.value.read(lock);
        await lock.writeLvb(encodeFrame({ kind: "bytes", epoch: 9n, sequence: 1n, payload: bytes("other") }));
        await assert.rejects(a.value.write(lock, bytes("two")), unread(/has changed since it was read/));
        assert.equal((await a.value.read(lock)).state, "reset");
        assert.equal((await a.value.write(lock, bytes("two"))).sequence, 2n);
      });
    });

    it("once more after a write that failed: nobody knows what it did", async () => {
      await a.under("EX", async (lock) => {
        await a.value.read(lock);
        lock.failure = new Error("no");
        await assert.rejects(a.value.write(lock, bytes("two")), { message: "no" });
        lock.failure = undefined;
        await assert.rejects(a.value.write(lock, bytes("two")), unread(/was not read/));
        await a.value.read(lock);
        assert.equal((await a.value.write(lock, bytes("two"))).sequence, 2n);
      });
    });

    it("and lets a lock that was released speak for itself", async () => {
      const lock = await cluster.node(1).lock(NAME);
      await a.value.read(lock);
      await lock.release();
      const released = stateError("ERR_LOCK_RELEASED", /was released/);
      await assert.rejects(a.value.read(lock), released);
      await assert.rejects(a.value.write(lock, bytes("two")), released);
    });
  });

  it("takes calls that are made at once in turn", async () => {
    const a = new Peer(new FakeCluster("o2cb"), 1);
    await a.under("EX", async (lock) => {
      const [, begun, , written, reading] = await Promise.all([
        a.value.read(lock),
        a.value.initialise(lock, bytes("one")),
        a.value.read(lock),
        a.value.write(lock, bytes("two")),
        a.value.read(lock),
      ]);
      assert.deepEqual([begun.sequence, written.sequence], [1n, 2n]);
      assert.equal(reading.state, "ok");
    });
  });

  it("is what was passed, whatever becomes of the caller's bytes", async () => {
    const a = new Peer(new FakeCluster("o2cb"), 1);
    await a.acquired(async (lock) => {
      const payload = bytes("one");
      const begun = a.value.initialise(lock, payload);
      payload.fill(0);
      await begun;
      const reading = await a.value.read(lock);
      assert.ok(reading.state === "ok");
      assert.deepEqual(reading.payload, bytes("one"));
    });
  });

  it("at the end of its sequence takes no write, and begins anew at 1", async () => {
    const cluster = new FakeCluster("o2cb");
    const a = new Peer(cluster, 1);
    cluster.plant(encodeFrame({ kind: "bytes", epoch: 8n, sequence: 2n ** 64n - 1n, payload: bytes("last") }));
    await assert.rejects(a.write("next"), stateError("ERR_LVB_LOST", /sequence of lock 'config' is used up/));
    assert.equal((await a.initialise("next")).sequence, 1n);
    assert.equal((await a.write("after")).sequence, 2n);
  });

  it("refuses what it cannot work with", async () => {
    const cluster = new FakeCluster("o2cb");
    const a = new Peer(cluster, 1);
    await a.read();
    const other = await cluster.node(1).lock("other");
    await assert.rejects(a.value.read(other), valueError(/"lock".*'other'.*that of lock 'config'/));
    await other.release();
    await assert.rejects(a.initialise("x".repeat(41)), valueError(/"payload".*41/));
    assert.throws(() => new FramedValue({ last: 5 as never }), typeError(/"options.last".*object/));
    assert.throws(() => new FramedValue({ last: { epoch: 0n, sequence: 1n } }), valueError(/"options.last.epoch"/));
    const wrong = { epoch: 1n, sequence: 1n, checksum: 1.5 };
    assert.throws(() => new FramedValue({ last: wrong }), valueError(/"options.last.checksum"/));
    assert.throws(() => new FramedValue({ kind: "text" as never }), valueError(/"options.kind".*'text'/));
  });
});

// Any order of what users and the cluster do.
type Step =
  | { do: "read"; by: number; mode: "PR" | "EX" }
  | { do: "write"; by: number }
  | { do: "die"; by: number }
  | { do: "lose" };

const by = fc.nat(2);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), by, mode: fc.constantFrom("PR", "EX") }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), by }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("die" as const), by }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const) }) },
  ),
  { maxLength: 40 },
);

describe("framed values of three nodes, whatever befalls the cluster", () => {
  for (const stack of ["o2cb", "fsdlm"] as const) {
    it(`on ${stack}: nobody reads as ok what is not the last write, and each write is told from all others`, async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (todo) => {
          const cluster = new FakeCluster(stack);
          const peers = [0, 1, 2].map((node) => new Peer(cluster, node));
          const written = new Set<string>();
          let newest = "";
          for (const [n, step] of todo.entries()) {
            if (step.do === "lose") cluster.loseMaster();
            // the process dies with its node, and its memory with it
            else if (step.do === "die") {
              cluster.die(step.by);
              peers[step.by] = new Peer(cluster, step.by);
            } else {
              const peer = peers[step.by]!;
              const known = peer.value.last;
              const check = ({ state, ...reading }: FramedReading): boolean => {
                const value = "payload" in reading && Buffer.from(reading.payload).toString();
                const going = state === "ok" || state === "reset";
                if (going) assert.equal(value, newest);
                // nothing here is stale: who locks it looks at it, and marks what is lost
                else assert.ok(state === "lost" || ((state === "empty" || state === "invalid") && !known), state);
                return going;
              };
              if (step.do === "read") {
                check(await peer.read(step.mode));
                continue;
              }
              await peer.acquired(async (lock, reading) => {
                const going = check(reading);
                newest = `write ${n}`;
                const mark = await peer.value[going ? "write" : "initialise"](lock, bytes(newest));
                if (known) assert.ok(mark.sequence > known.sequence);
                const numbers = `${mark.epoch} ${mark.sequence}`;
                assert.ok(!written.has(numbers));
                written.add(numbers);
              });
            }
          }
        }),
        runs(300),
      );
    });
  }

  it("a block that another program fills at random is never a value", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 64, maxLength: 64 }), async (block) => {
        const cluster = new FakeCluster("o2cb");
        const a = new Peer(cluster, 1);
        await a.initialise("one");
        cluster.plant(block);
        const { state } = await a.read();
        assert.equal(state, block.every((byte) => byte === 0) ? "lost" : decodeFrame(block).state);
        assert.notEqual(state, "ok");
      }),
      runs(100),
    );
  });
});
