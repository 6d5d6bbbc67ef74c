// Owners who wait for each other in a circle.

import type { Blocker, LockOwner, Wait, WaitForGraph } from "./wait-for";

/** One owner's wait for the next one in a circle. */
export interface DeadlockStep {
  /** The lock that waits: to end it (by a cancel on its `node`, with its `lkid`) breaks the circle. */
  wait: Wait;
  /** The lock of the next owner that it waits for. */
  blocker: Blocker;
}

export interface Deadlock {
  /** All who wait for each other, through this circle or another. */
  owners: LockOwner[];
  /** A shortest circle among them: each step's blocker is owned by the next step's waiter. */
  cycle: DeadlockStep[];
}

type Edges = Map<string, Map<string, DeadlockStep>>;

/**
 * The deadlocks of a graph: groups of owners each of whom waits for another one of the group, and so on back to
 * himself. An owner is a process: one that waits for several locks at a time, as programs for Node do, may still be able
 * to give way. Waits for a lock of the same process are none of a deadlock here, since one of its tasks may wait for
 * another. The kernel itself resolves only deadlocks of two conversions on one resource.
 */
export function findDeadlocks(graph: WaitForGraph): Deadlock[] {
  const edges = edgesOf(graph);
  return components(edges)
    .filter((group) => group.length > 1)
    .map((group) => {
      const inside = new Set(group);
      return { owners: graph.owners.filter(({ id }) => inside.has(id)), cycle: shortestCycle(group, edges) };
    });
}

function edgesOf(graph: WaitForGraph): Edges {
  const edges: Edges = new Map();
  for (const wait of graph.waits) {
    const from = edges.get(wait.owner) ?? new Map<string, DeadlockStep>();
    edges.set(wait.owner, from);
    for (const blocker of wait.blockers) {
      const known = from.get(blocker.owner);
      // to be held up by what is granted says more than to stand in line
      if (blocker.owner !== wait.owner && (!known || (known.blocker.reason === "ahead" && blocker.reason === "held"))) {
        from.set(blocker.owner, { wait, blocker });
      }
    }
  }
  return edges;
}

interface Visit {
  id: string;
  index: number;
  /** The earliest visit that can be reached from here, among those whose group is not known yet. */
  low: number;
  open: boolean;
  rest: string[];
}

// Tarjan's strongly connected components, with a stack of its own: chains of waiters can be long.
function components(edges: Edges): string[][] {
  const visits = new Map<string, Visit>();
  const open: Visit[] = [];
  const found: string[][] = [];
  const enter = (id: string): Visit => {
    const index = visits.size;
    const visit = { id, index, low: index, open: true, rest: [...(edges.get(id)?.keys() ?? [])] };
    visits.set(id, visit);
    open.push(visit);
    return visit;
  };
  for (const start of edges.keys()) {
    if (visits.has(start)) continue;
    const path = [enter(start)];
    for (let at = path.at(-1); at; at = path.at(-1)) {
      const next = at.rest.pop();
      if (next !== undefined) {
        const known = visits.get(next);
        if (!known) path.push(enter(next));
        else if (known.open) at.low = Math.min(at.low, known.index);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent) parent.low = Math.min(parent.low, at.low);
      if (at.low !== at.index) continue;
      const group = open.splice(open.indexOf(at));
      for (const visit of group) visit.open = false;
      found.push(group.map(({ id }) => id));
    }
  }
  return found;
}

// How many owners of a group are tried as a beginning: in a big one any short circle will do.
const BEGINNINGS = 8;

function shortestCycle(group: readonly string[], edges: Edges): DeadlockStep[] {
  const inside = new Set(group);
  const cycles = group.slice(0, BEGINNINGS).map((start) => cycleThrough(start, inside, edges));
  return cycles.reduce((best, cycle) => (cycle.length < best.length ? cycle : best));
}

// Breadth first: the first way back is a shortest. Every owner of a group has one.
function cycleThrough(start: string, inside: ReadonlySet<string>, edges: Edges): DeadlockStep[] {
  const cameBy = new Map<string, { from: string; step: DeadlockStep }>();
  const queue = [start];
  for (const id of queue) {
    for (const [to, step] of edges.get(id) ?? []) {
      if (!inside.has(to) || cameBy.has(to)) continue;
      cameBy.set(to, { from: id, step });
      if (to === start) return walkBack(start, cameBy);
      queue.push(to);
    }
  }
  return [];
}

function walkBack(start: string, cameBy: ReadonlyMap<string, { from: string; step: DeadlockStep }>): DeadlockStep[] {
  const steps: DeadlockStep[] = [];
  for (let came = cameBy.get(start); came; came = came.from === start ? undefined : cameBy.get(came.from)) {
    steps.push(came.step);
  }
  return steps.reverse();
}
