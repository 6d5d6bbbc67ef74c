import assert from "node:assert/strict";

import fc from "fast-check";

import type { Domain } from "../../../lib/dlmfs";
import { DomainCounter, type FramedReading, encodeFrame } from "../../../lib/dlmfs/value";

import { FakeCluster } from "./fake-cluster";
import { runs, stateError, typeError, valueError } from "./support";

const from = (n: bigint) => (): bigint => n;
const lost = (how: RegExp): object => stateError("ERR_LVB_LOST", how);

function counterBlock(count: bigint, sequence = 1n, epoch = 5n): Uint8Array {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64LE(count);
  return encodeFrame({ kind: "counter", epoch, sequence, payload });
}

describe("a counter in a domain", () => {
  let cluster: FakeCluster;
  beforeEach(() => {
    cluster = new FakeCluster("o2cb");
  });
  const counter = (node: number, options?: ConstructorParameters<typeof DomainCounter>[2]): DomainCounter =>
    new DomainCounter(cluster.node(node), "ids", options);

  it("is made of a domain as it is", () => {
    // checked by the compiler
    const make = (domain: Domain): DomainCounter => new DomainCounter(domain, "ids");
    assert.equal(make.length, 1);
  });

  it("counts for all nodes, a step at a time", async () => {
    const a = counter(1, { onLost: from(0n) });
    const b = counter(2);
    assert.deepEqual([await a.next(), await b.next(), await b.next(10n), await a.read()], [1n, 2n, 12n, 12n]);
    assert.deepEqual([a.last, b.last], [12n, 12n]);
  });

  it("gives no count twice to nodes that ask at once", async () => {
    const counters = [1, 2, 3].map((node) => counter(node, { onLost: from(0n) }));
    const counts = await Promise.all(counters.flatMap((one) => [one.next(), one.next(), one.next(), one.next()]));
    assert.deepEqual(
      [...counts].sort((a, b) => Number(a - b)),
      Array.from({ length: 12 }, (_, n) => BigInt(n + 1)),
    );
  });

  it("does not begin by itself: what was never written looks like what is lost", async () => {
    await assert.rejects(
      counter(1).next(),
      lost(/lock 'ids' was never written, or is lost: the kernel cannot tell; .*onLost/),
    );
    await assert.rejects(counter(1, { onLost: from(0n) }).read(), lost(/never written/));
  });

  it("asks with what it knows when the count is lost, and goes on from the answer", async () => {
    const asked: [bigint | undefined, FramedReading["state"]][] = [];
    const a = counter(1, {
      onLost: async (last, { state }) => {
        asked.push([last, state]);
        return Promise.resolve(last === undefined ? 100n : last + 1000n);
      },
    });
    assert.equal(await a.next(), 101n);
    cluster.die(1);
    assert.equal(await a.next(), 1102n);
    assert.deepEqual(asked, [
      [undefined, "empty"],
      [101n, "lost"],
    ]);
    assert.equal(await counter(2).next(), 1103n);
  });

  it("without an answer says so, and how far it had come", async () => {
    const a = counter(1, { onLost: from(0n) });
    await a.next();
    const b = counter(2);
    assert.equal(await b.next(), 2n);
    cluster.die(2);
    await assert.rejects(b.next(), lost(/is lost \(it has been at 2\)/));
    await assert.rejects(b.read(), lost(/is lost/));
    assert.equal(b.last, 2n);
  });

  it("never goes back: not by an answer, not by an older block, not by another's new beginning", async () => {
    const b = counter(2, { last: 50n });
    await assert.rejects(b.next(), lost(/never written/));
    await assert.rejects(counter(2, { last: 50n, onLost: from(49n) }).next(), valueError(/"onLost".*gave 49.*at 50/));

    cluster.plant(counterBlock(49n));
    await assert.rejects(b.next(), lost(/has gone back \(it has been at 50\)/));
    cluster.plant(counterBlock(50n, 2n));
    assert.equal(await b.next(), 51n);
    cluster.plant(counterBlock(50n, 2n));
    await assert.rejects(b.next(), lost(/is an older one/));
    cluster.plant(counterBlock(3n, 1n, 6n));
    await assert.rejects(b.next(), lost(/begun anew, below what it was \(it has been at 51\)/));
    cluster.plant(counterBlock(60n, 1n, 7n));
    assert.equal(await b.next(), 61n);
  });

  it("never wraps, and leaves the count as it was", async () => {
    cluster.plant(counterBlock(2n ** 64n - 3n));
    const a = counter(1);
    await assert.rejects(a.next(3n), valueError(/"step".*is 3; from 18446744073709551613 on that exceeds/));
    assert.equal(await a.next(2n), 2n ** 64n - 1n);
    await assert.rejects(a.next(), valueError(/exceeds the 8 bytes/));
    assert.equal(await a.read(), 2n ** 64n - 1n);
  });

  it("is no other program's value, and no frame of bytes", async () => {
    cluster.plant(encodeFrame({ kind: "bytes", epoch: 5n, sequence: 1n, payload: new Uint8Array(8) }));
    await assert.rejects(counter(1).next(), lost(/another program's/));
    const damaged = counterBlock(5n);
    damaged[24] = 6;
    cluster.plant(damaged);
    await assert.rejects(counter(1).next(), lost(/is damaged/));
  });

  it("stops waiting for the lock at an abort, and lets go of it whatever happens", async () => {
    const a = counter(1, { onLost: from(0n) });
    const held = await cluster.node(2).lock("ids");
    const abort = new AbortController();
    const waiting = a.next(1n, { signal: abort.signal });
    await new Promise(setImmediate);
    assert.equal(cluster.waiting.get(1), 1);
    abort.abort(new Error("enough"));
    await assert.rejects(waiting, { message: "enough" });
    await held.release();

    const late = new AbortController();
    const onLost = (): bigint => {
      late.abort(new Error("too late"));
      return 0n;
    };
    await assert.rejects(counter(1, { onLost }).next(1n, { signal: late.signal }), { message: "too late" });
    const failing = (): bigint => {
      throw new Error("no database");
    };
    await assert.rejects(counter(1, { onLost: failing }).next(), { message: "no database" });
    assert.equal(await a.next(), 1n);
  });

  it("goes on after a loss for all who ask at once, though none may stand in line while the lock is dropped", async () => {
    cluster = new FakeCluster("fsdlm");
    await counter(1, { onLost: from(0n) }).next();
    await counter(3).read();
    const b = counter(2, { onLost: (last = 100n) => last });
    await counter(1).next();
    cluster.die(1);
    const counts = await Promise.all([b.next(), b.next(), b.next(), b.next(), b.next()]);
    assert.deepEqual(counts, [101n, 102n, 103n, 104n, 105n]);
  });

  it("stops at an abort while others of this process are being served", async () => {
    const a = counter(1, { onLost: from(0n) });
    const held = await cluster.node(2).lock("ids");
    const abort = new AbortController();
    const [first, second] = [a.next(), a.next(1n, { signal: abort.signal })];
    const third = a.next();
    await new Promise(setImmediate);
    abort.abort(new Error("enough"));
    await assert.rejects(second, { message: "enough" });
    await held.release();
    assert.deepEqual([await first, await third], [1n, 2n]);
  });

  it("refuses what cannot be", async () => {
    const a = counter(1, { onLost: from(0n) });
    await assert.rejects(a.next(0n), valueError(/"step".*is 0/));
    await assert.rejects(a.next(1 as never), typeError(/"step".*bigint.*number/));
    await assert.rejects(a.next(1n, { signal: {} as never }), typeError(/"options.signal"/));
    await assert.rejects(counter(1, { onLost: (() => 5) as never }).next(), typeError(/"onLost".*bigint/));
    assert.throws(() => counter(1, { last: -1n }), valueError(/"options.last"/));
    assert.throws(() => counter(1, { onLost: 5 as never }), typeError(/"options.onLost".*function/));
    assert.throws(() => new DomainCounter(cluster.node(1), 5 as never), typeError(/"name"/));
  });

  for (const stack of ["o2cb", "fsdlm"] as const) {
    it(`on ${stack}: with counts kept elsewhere, each is above all before, whatever befalls the cluster`, async () => {
      const step = fc.record({ node: fc.nat(2), then: fc.constantFrom("nothing", "nothing", "read", "die", "lose") });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (todo) => {
          cluster = new FakeCluster(stack);
          let kept = 0n;
          const counters = [0, 1, 2].map((node) => counter(node, { onLost: () => kept }));
          for (const { node, then } of todo) {
            const count = await counters[node]!.next();
            assert.equal(count, kept + 1n);
            kept = count;
            if (then === "read") assert.equal(await counters[(node + 1) % 3]!.read(), kept);
            if (then === "die") {
              cluster.die(node);
              counters[node] = counter(node, { onLost: () => kept });
            }
            if (then === "lose") cluster.loseMaster();
          }
        }),
        runs(200),
      );
    });
  }
});
