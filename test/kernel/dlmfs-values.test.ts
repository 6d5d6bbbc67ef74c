// Framed values and counters where values really get lost: with the node that has written last.

import assert from "node:assert/strict";

import type { DomainCounter, FramedReading, FramedValue } from "../../lib/dlmfs";
import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { describeLong } from "../rounds";
import { type NodeContext, Shell } from "./support/shell";

type Context = NodeContext & { value: FramedValue; counter: DomainCounter; kept: string };

/** What a reading says, without what is random. */
interface Told {
  state: FramedReading["state"];
  sign?: string;
  text?: string;
  sequence?: string;
}

/** A process on a node, with a framed value and a counter that it remembers. */
class Peer {
  readonly shell: Shell;

  constructor(cluster: Cluster, node: number) {
    this.shell = new Shell(cluster, node);
  }

  async #call<A extends unknown[], R>(fn: (node: Context, ...args: A) => R | Promise<R>, ...args: A): Promise<R> {
    return this.shell.call<A, R>(fn as (node: NodeContext, ...args: A) => R | Promise<R>, ...args);
  }

  async open(): Promise<this> {
    await this.#call(async (node) => {
      node.domain = await node.Domain.open("values", { create: true, allowClusterNameWorkaround: true });
      node.value = new node.dlmfs.FramedValue();
      node.kept = "0";
      const onLost = (): bigint => BigInt(node.kept);
      node.counter = new node.dlmfs.DomainCounter(node.domain, "counter", { onLost });
    });
    return this;
  }

  read(name: string, mode: "PR" | "EX" = "PR"): Promise<Told> {
    return this.#call(
      async (node, lockName, lockMode) => {
        const lock = await node.domain.lock(lockName, { mode: lockMode, signal: AbortSignal.timeout(90_000) });
        const reading = await node.value.read(lock);
        await lock.release();
        const { state } = reading;
        if ("sign" in reading) return { state, sign: reading.sign };
        if (!("payload" in reading)) return { state };
        return { state, text: Buffer.from(reading.payload).toString(), sequence: String(reading.sequence) };
      },
      name,
      mode,
    );
  }

  /** Writes what follows, or begins anew where there is nothing to follow; says what was there. */
  put(name: string, text: string): Promise<Told> {
    return this.#call(
      async (node, lockName, words) => {
        const signal = AbortSignal.timeout(90_000);
        const { lock, reading } = await node.value.acquire(node.domain, lockName, { signal });
        const { state } = reading;
        const verb = state === "ok" || state === "reset" ? "write" : "initialise";
        const { sequence } = await node.value[verb](lock, Buffer.from(words));
        await lock.release();
        return { state, ...("sign" in reading && { sign: reading.sign }), sequence: String(sequence) };
      },
      name,
      text,
    );
  }

  count(kept: bigint): Promise<bigint> {
    return this.#call(async (node, known) => {
      node.kept = known;
      return String(await node.counter.next(1n, { signal: AbortSignal.timeout(90_000) }));
    }, String(kept)).then(BigInt);
  }

  async end(): Promise<void> {
    await this.#call((node) => node.domain.close());
    await this.shell.end();
    assert.deepEqual(this.shell.complaints, []);
  }
}

describeLong("values in a domain whose nodes die, stack o2cb", function () {
  this.timeout(180_000);
  let cluster: Cluster;
  before(async function () {
    this.timeout(600_000);
    cluster = await openCluster({ stack: "o2cb" });
  });
  after(async () => cluster.down());

  it("read as lost to who has seen them, as empty to who has not, and counts go on above those kept", async () => {
    const one = await new Peer(cluster, 1).open();
    const two = await new Peer(cluster, 2).open();
    assert.deepEqual(await one.put("v", "first"), { state: "empty", sequence: "1" });
    assert.deepEqual(await two.put("v", "second"), { state: "ok", sequence: "2" });
    assert.deepEqual(await one.read("v"), { state: "ok", text: "second", sequence: "2" });
    assert.deepEqual(await two.put("v", "third"), { state: "ok", sequence: "3" });
    assert.deepEqual([await one.count(0n), await two.count(0n), await two.count(0n)], [1n, 2n, 3n]);
    await cluster.kill(2);

    assert.deepEqual(await one.read("v"), { state: "lost", sign: "zeros" });
    const newcomer = await new Peer(cluster, 1).open();
    assert.deepEqual(await newcomer.read("v"), { state: "empty" });
    assert.deepEqual(await one.put("v", "fourth"), { state: "lost", sign: "zeros", sequence: "3" });
    assert.deepEqual(await newcomer.read("v"), { state: "ok", text: "fourth", sequence: "3" });
    assert.deepEqual([await one.count(3n), await newcomer.count(0n)], [4n, 5n]);
    await newcomer.end();
    await one.end();
  });
});

describeLong("values in a domain whose nodes die, stack dlmfs-dlm", function () {
  this.timeout(240_000);
  let cluster: Cluster;
  let one: Peer;
  let two: Peer;

  // What the third node wrote last dies with it; the others know what was there before.
  before(async function () {
    this.timeout(600_000);
    cluster = await openCluster({ stack: "dlmfs-dlm", nodes: 3 });
    one = await new Peer(cluster, 1).open();
    two = await new Peer(cluster, 2).open();
    const three = await new Peer(cluster, 3).open();
    for (const name of ["v", "shared", "looked"]) {
      // one object for each value
      const [a, b, c] = name === "v" ? [one, two, three] : await others(1, 2, 3);
      await a.put(name, "first");
      await b.put(name, "second");
      await c.put(name, "third");
      if (name !== "v") for (const peer of [a, b]) await peer.end();
    }
    assert.deepEqual([await one.count(0n), await two.count(0n), await three.count(0n)], [1n, 2n, 3n]);
    await cluster.kill(3);
  });
  after(async () => {
    await one.end();
    await two.end();
    await cluster.down();
  });

  async function others(...nodes: [number, number, number]): Promise<[Peer, Peer, Peer]> {
    const [a, b, c] = nodes.map(async (node) => new Peer(cluster, node).open());
    return [await a!, await b!, await c!];
  }

  it("are lost, are begun anew once the lock was dropped, and go on for all", async () => {
    assert.deepEqual(await two.read("v"), { state: "lost", sign: "invalid" });
    // the drop left the mark to those who still have an interest
    assert.deepEqual(await two.put("v", "fourth"), { state: "lost", sign: "marked", sequence: "3" });
    assert.deepEqual(await two.read("v"), { state: "ok", text: "fourth", sequence: "3" });
    const neighbour = await new Peer(cluster, 2).open();
    assert.deepEqual(await neighbour.read("v", "EX"), { state: "ok", text: "fourth", sequence: "3" });
    await neighbour.end();
    assert.deepEqual(await one.read("v"), { state: "reset", text: "fourth", sequence: "3" });
    assert.deepEqual(await one.put("v", "fifth"), { state: "ok", sequence: "4" });
    assert.deepEqual(await two.read("v"), { state: "ok", text: "fifth", sequence: "4" });
  });

  it("stay lost when somebody finds them so in EX and goes away: no older value comes back", async () => {
    const finder = await new Peer(cluster, 2).open();
    assert.deepEqual(await finder.read("looked", "EX"), { state: "invalid" });
    await finder.end();
    const other = await new Peer(cluster, 1).open();
    assert.deepEqual(await other.read("looked"), { state: "lost", sign: "marked" });
    await other.end();
  });

  it("count on above the counts that were kept elsewhere", async () => {
    assert.deepEqual([await two.count(3n), await one.count(0n), await two.count(0n)], [4n, 5n, 6n]);
  });

  it("are begun anew though another process of the node uses the lock", async () => {
    const neighbour = await new Peer(cluster, 2).open();
    const user = await new Peer(cluster, 2).open();
    assert.deepEqual(await neighbour.read("shared"), { state: "invalid" });
    assert.deepEqual(await user.put("shared", "fourth"), { state: "lost", sign: "marked", sequence: "1" });
    assert.deepEqual(await neighbour.read("shared", "EX"), { state: "ok", text: "fourth", sequence: "1" });
    await user.end();
    await neighbour.end();
  });
});
