// What the nodes have written to a shared disk and not flushed, sector by sector. Pure: it says which contents to copy
// where, and somebody else does it.
//
// The picture: each node reaches the disk through a cache of its own, on its own host, that forgets when that host loses
// power. The caches are coherent: a read on any node sees the newest write of all. So a sector has a durable content and
// above it a stack of unflushed versions, at most one for each node, in the order of the nodes' latest writes; reads see
// the top.
//
// - Node N writes: N's version becomes the top. An older one of N, wherever it is, is gone: N's cache holds one.
// - N flushes: N's version becomes the durable content. Those beneath are gone too: they were older, so nothing may bring
//   them back. Those above stay, unflushed.
// - N loses power: N's version is gone. If it was the top, the sector goes back to the version beneath, another node's or
//   the durable one; if not, readers see no change, and a later loss of the version above no longer uncovers N's.
// - N's version survives a loss of power ("some"), or N's host kept its power: as if N had flushed it.
//
// Contents: the disk's file holds the top. Each node has an undo file, as large as the disk, that holds at a sector the
// content beneath the node's version there.

export const SECTOR = 512;

/** The disk itself, or the undo file of a node. */
export type Place = "disk" | number;

/** The content of some sectors is to be copied from one place to another. */
export interface Copy {
  readonly from: Place;
  readonly to: Place;
  readonly first: number;
  readonly count: number;
}

// A stack is a 32-bit word: a node for each four bits, the lowest of them at the bottom; 0 is no node.
const BITS = 4;
const MAX_NODE = 32 / BITS;

/** Sectors whose stacks are kept together. */
const CHUNK = 256;

export class Versions {
  readonly #chunks = new Map<number, Uint32Array>();
  /** Chunks in which a node may have versions. */
  readonly #touched = new Map<number, Set<number>>();

  /** Nodes are 1 to 8. */
  constructor(nodes: readonly number[]) {
    for (const node of nodes) {
      if (node < 1 || node > MAX_NODE) throw new RangeError(`node ${node} is not in 1..${MAX_NODE}`);
      this.#touched.set(node, new Set());
    }
  }

  /** Whether nothing of the node can be lost. */
  clean(node: number): boolean {
    return this.#of(node).size === 0;
  }

  /** To be called before a write. Each copy must be done before the next is asked for, and all before the write. */
  *write(node: number, first: number, count: number): Generator<Copy, void> {
    for (const run of this.#runs(first, count)) {
      const at = find(run.stack, node);
      if (at >= 0 && at === top(run.stack)) continue;
      if (at >= 0) {
        yield { from: node, to: nodeAt(run.stack, at + 1), first: run.first, count: run.count };
        this.#set(run, without(run.stack, at));
      }
      yield { from: "disk", to: node, first: run.first, count: run.count };
      this.#touch(node, run);
      this.#set(run, pushed(at >= 0 ? without(run.stack, at) : run.stack, node));
    }
  }

  /** The node's versions of these sectors are durable. */
  flushRange(node: number, first: number, count: number): void {
    for (const run of this.#runs(first, count)) {
      const at = find(run.stack, node);
      if (at >= 0) this.#set(run, above(run.stack, at));
    }
  }

  /** All of the node's versions are durable. */
  flush(node: number): void {
    const touched = this.#of(node);
    for (const chunk of touched) {
      const stacks = this.#chunks.get(chunk);
      if (stacks === undefined) continue;
      let used = 0;
      // by index: a flush may have millions of sectors to go through, and the event loop waits for it
      for (let index = 0; index < CHUNK; index++) {
        let stack = stacks[index] ?? 0;
        if (stack === 0) continue;
        const at = find(stack, node);
        if (at >= 0) stacks[index] = stack = above(stack, at);
        used |= stack;
      }
      if (used === 0) this.#chunks.delete(chunk);
    }
    touched.clear();
  }

  /**
   * The node's host has lost power. `survives` is asked once for each sector of which the node has a version, in the
   * order of the sectors. Each copy must be done before the next is asked for; those to the disk are what is lost.
   */
  *lose(node: number, survives: () => boolean): Generator<Copy, void> {
    for (const chunk of [...this.#of(node)].sort((a, b) => a - b)) {
      let run: Copy | undefined;
      for (let sector = chunk * CHUNK; sector < (chunk + 1) * CHUNK; sector++) {
        const stack = this.#get(sector);
        const at = find(stack, node);
        if (at < 0) continue;
        if (survives()) {
          this.#set({ first: sector, count: 1 }, above(stack, at));
          continue;
        }
        const to = at === top(stack) ? "disk" : nodeAt(stack, at + 1);
        if (run?.to === to && run.first + run.count === sector) {
          run = { ...run, count: run.count + 1 };
          continue;
        }
        if (run !== undefined) yield* this.#lost(run, node);
        run = { from: node, to, first: sector, count: 1 };
      }
      if (run !== undefined) yield* this.#lost(run, node);
    }
    // nothing of the node is left: this only tidies up
    this.flush(node);
  }

  *#lost(copy: Copy, node: number): Generator<Copy, void> {
    yield copy;
    for (const run of this.#runs(copy.first, copy.count)) this.#set(run, without(run.stack, find(run.stack, node)));
  }

  /** Neighbouring sectors with equal stacks. */
  *#runs(first: number, count: number): Generator<{ first: number; count: number; stack: number }, void> {
    const end = first + count;
    while (first < end) {
      const stack = this.#get(first);
      let next = first + 1;
      while (next < end && this.#get(next) === stack) next++;
      yield { first, count: next - first, stack };
      first = next;
    }
  }

  #get(sector: number): number {
    return this.#chunks.get(Math.floor(sector / CHUNK))?.[sector % CHUNK] ?? 0;
  }

  #set(run: { first: number; count: number }, stack: number): void {
    for (let sector = run.first; sector < run.first + run.count; sector++) {
      const chunk = Math.floor(sector / CHUNK);
      let stacks = this.#chunks.get(chunk);
      if (stacks === undefined) this.#chunks.set(chunk, (stacks = new Uint32Array(CHUNK)));
      stacks[sector % CHUNK] = stack;
    }
  }

  #touch(node: number, run: { first: number; count: number }): void {
    const touched = this.#of(node);
    const last = Math.floor((run.first + run.count - 1) / CHUNK);
    for (let chunk = Math.floor(run.first / CHUNK); chunk <= last; chunk++) touched.add(chunk);
  }

  #of(node: number): Set<number> {
    const touched = this.#touched.get(node);
    if (touched === undefined) throw new RangeError(`node ${node} does not use this disk`);
    return touched;
  }
}

function nodeAt(stack: number, at: number): number {
  return (stack >>> (at * BITS)) & ((1 << BITS) - 1);
}

/** -1 when the stack is empty. */
function top(stack: number): number {
  return stack === 0 ? -1 : Math.floor((31 - Math.clz32(stack)) / BITS);
}

function find(stack: number, node: number): number {
  for (let at = top(stack); at >= 0; at--) if (nodeAt(stack, at) === node) return at;
  return -1;
}

/** What is above a place. Shifts count modulo 32, so a full stack needs two. */
function above(stack: number, at: number): number {
  return (stack >>> (at * BITS)) >>> BITS;
}

function without(stack: number, at: number): number {
  const beneath = stack & ((1 << (at * BITS)) - 1);
  return (beneath | (above(stack, at) << (at * BITS))) >>> 0;
}

function pushed(stack: number, node: number): number {
  return (stack | (node << ((top(stack) + 1) * BITS))) >>> 0;
}
