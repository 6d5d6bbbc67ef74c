import assert from "node:assert/strict";

import type { Copy, Place } from "../../../lib/lab/qemu/disks/versions";
import { Versions } from "../../../lib/lab/qemu/disks/versions";
import { random } from "../../../lib/lab/qemu/disks/random";
import { seed } from "../../kernel/support/seed";

interface Sector {
  durable: number;
  versions: { node: number; content: number }[];
}

/** What Versions is to be: a list of unflushed versions for each sector, as its head comment tells it. */
class Model {
  readonly #sectors: Sector[];

  constructor(size: number) {
    this.#sectors = Array.from({ length: size }, () => ({ durable: 0, versions: [] }));
  }

  contents(): number[] {
    return this.#sectors.map(({ durable, versions }) => versions.at(-1)?.content ?? durable);
  }

  write(node: number, first: number, count: number, content: number): void {
    for (const sector of this.#sectors.slice(first, first + count)) {
      sector.versions = sector.versions.filter((version) => version.node !== node);
      sector.versions.push({ node, content });
    }
  }

  flush(node: number, first: number, count: number): void {
    for (const sector of this.#sectors.slice(first, first + count)) this.#settle(sector, node, true);
  }

  lose(node: number, survives: () => boolean): number {
    const before = this.#sectors.map(({ versions }) => versions.at(-1)?.node);
    const kept = this.#sectors.map(
      (sector) => sector.versions.some((version) => version.node === node) && this.#settle(sector, node, survives()),
    );
    return before.filter((owner, index) => owner === node && kept[index] === false).length;
  }

  #settle(sector: Sector, node: number, keep: boolean): boolean {
    const at = sector.versions.findIndex((version) => version.node === node);
    if (at < 0) return keep;
    if (keep) {
      sector.durable = sector.versions[at]!.content;
      sector.versions.splice(0, at + 1);
    } else sector.versions.splice(at, 1);
    return keep;
  }
}

/** Does what Versions says, on arrays in which a number stands for a sector's content. */
class Storage {
  readonly #versions: Versions;
  readonly #places = new Map<Place, number[]>();

  constructor(nodes: readonly number[], size: number) {
    this.#versions = new Versions(nodes);
    // what an undo file holds where nothing was copied must never come up
    for (const node of nodes) this.#places.set(node, new Array<number>(size).fill(-1));
    this.#places.set("disk", new Array<number>(size).fill(0));
  }

  contents(): number[] {
    return this.#places.get("disk")!;
  }

  write(node: number, first: number, count: number, content: number): void {
    for (const copy of this.#versions.write(node, first, count)) this.#copy(copy);
    this.contents().fill(content, first, first + count);
  }

  flush(node: number): void {
    this.#versions.flush(node);
    assert.ok(this.#versions.clean(node));
  }

  flushRange(node: number, first: number, count: number): void {
    this.#versions.flushRange(node, first, count);
  }

  lose(node: number, survives: () => boolean): number {
    let lost = 0;
    for (const copy of this.#versions.lose(node, survives)) {
      this.#copy(copy);
      if (copy.to === "disk") lost += copy.count;
    }
    return lost;
  }

  #copy({ from, to, first, count }: Copy): void {
    this.#places.get(to)!.splice(first, count, ...this.#places.get(from)!.slice(first, first + count));
  }
}

describe("lab: unflushed versions of a shared disk", () => {
  const all = (): boolean => false;

  it("go back to what was there before the first write since the flush", () => {
    const storage = new Storage([1, 2], 8);
    storage.write(1, 0, 8, 1);
    storage.flush(1);
    storage.write(1, 2, 4, 2);
    storage.write(1, 3, 1, 3);
    assert.equal(storage.lose(1, all), 4);
    assert.deepEqual(storage.contents(), [1, 1, 1, 1, 1, 1, 1, 1]);
    assert.equal(storage.lose(1, all), 0);
  });

  it("stay where another node has written since, and do not come back when that node loses its own", () => {
    const storage = new Storage([1, 2], 2);
    storage.write(1, 0, 2, 1);
    storage.write(2, 0, 1, 2);
    assert.equal(storage.lose(1, all), 1);
    assert.deepEqual(storage.contents(), [2, 0]);
    assert.equal(storage.lose(2, all), 1);
    assert.deepEqual(storage.contents(), [0, 0]);
  });

  it("uncover another node's that are beneath", () => {
    const storage = new Storage([1, 2], 1);
    storage.write(1, 0, 1, 1);
    storage.write(2, 0, 1, 2);
    assert.equal(storage.lose(2, all), 1);
    assert.deepEqual(storage.contents(), [1]);
    assert.equal(storage.lose(1, all), 1);
    assert.deepEqual(storage.contents(), [0]);
  });

  it("are moot beneath one that is flushed", () => {
    const storage = new Storage([1, 2], 1);
    storage.write(1, 0, 1, 1);
    storage.write(2, 0, 1, 2);
    storage.flush(2);
    assert.equal(storage.lose(1, all), 0);
    assert.deepEqual(storage.contents(), [2]);
  });

  it("become durable beneath another node's when they are flushed", () => {
    const storage = new Storage([1, 2], 1);
    storage.write(1, 0, 1, 1);
    storage.write(2, 0, 1, 2);
    storage.flush(1);
    assert.equal(storage.lose(2, all), 1);
    assert.deepEqual(storage.contents(), [1]);
  });

  it("may be of eight nodes in one sector", () => {
    const nodes = [1, 2, 3, 4, 5, 6, 7, 8];
    for (const flushed of nodes) {
      const storage = new Storage(nodes, 1);
      for (const node of nodes) storage.write(node, 0, 1, node);
      storage.flush(flushed);
      storage.write(flushed, 0, 1, 99);
      assert.equal(storage.lose(flushed, all), 1);
      for (const node of [...nodes].reverse()) {
        assert.deepEqual(storage.contents(), [Math.max(node, flushed)]);
        assert.equal(storage.lose(node, all), node > flushed ? 1 : 0);
      }
    }
  });

  it("are copied in runs, not sector by sector", () => {
    const versions = new Versions([1, 2]);
    assert.deepEqual([...versions.write(1, 0, 1000)], [{ from: "disk", to: 1, first: 0, count: 1000 }]);
    assert.deepEqual([...versions.write(1, 0, 1000)], []);
    assert.equal([...versions.lose(1, all)].length, 4);
  });

  it("work at the far end of the largest disk", () => {
    const versions = new Versions([8]);
    const first = 2 ** 31 - 1;
    assert.equal([...versions.write(8, first, 1)].length, 1);
    assert.deepEqual([...versions.lose(8, all)], [{ from: 8, to: "disk", first, count: 1 }]);
  });

  it("keep a sector as it was when the copy that should save it fails", () => {
    const versions = new Versions([1, 2]);
    assert.throws(() => {
      for (const copy of versions.write(1, 0, 4)) throw new Error(`no room for ${copy.count}`);
    }, /no room for 4/);
    assert.deepEqual([...versions.lose(1, all)], []);
  });

  it("do what a list of versions for each sector does, in any order of events", () => {
    const from = seed();
    for (let round = 0; round < 300; round++) {
      const next = random(from + round);
      const below = (limit: number): number => Math.floor(next() * limit);
      const nodes = Array.from({ length: 1 + below(8) }, (_, index) => index + 1);
      // small disks for many meetings, larger ones for the borders of chunks
      const size = round % 3 === 0 ? 600 : 6;
      const [model, storage] = [new Model(size), new Storage(nodes, size)];
      const told: string[] = [];
      for (let step = 1; step <= 150; step++) {
        const node = nodes[below(nodes.length)]!;
        const first = below(size);
        const count = 1 + below(Math.min(size - first, 300));
        const dice = below(20);
        if (dice < 14) {
          told.push(`${node} writes ${step} to ${first}+${count}`);
          model.write(node, first, count, step);
          storage.write(node, first, count, step);
        } else if (dice < 15) {
          told.push(`${node} flushes`);
          model.flush(node, 0, size);
          storage.flush(node);
        } else if (dice < 17) {
          told.push(`${node} flushes ${first}+${count}`);
          model.flush(node, first, count);
          storage.flushRange(node, first, count);
        } else {
          const survivors = [0, 0.5, 1][below(3)]!;
          told.push(`${node} loses all but ${survivors}`);
          const [one, other] = [random(step), random(step)];
          const lost = model.lose(node, () => one() < survivors);
          assert.equal(
            storage.lose(node, () => other() < survivors),
            lost,
          );
        }
        assert.deepEqual(storage.contents(), model.contents(), `seed ${from}, round ${round}:\n${told.join("\n")}`);
      }
    }
  });
});

describe("lab: mulberry32", () => {
  it("is itself", () => {
    const next = random(1);
    const first = [next(), next(), next()].map((value) => Math.round(value * 2 ** 32));
    assert.deepEqual(first, [2693262067, 11749833, 2265367787]);
  });
});
