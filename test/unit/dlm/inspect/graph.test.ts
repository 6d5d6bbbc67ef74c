import assert from "node:assert/strict";

import { type LockDump, type Wait, findDeadlocks, orphansOf, waitForDot, waitForGraph } from "../../../../lib/dlm";

import { dumpFrom, dumpText } from "../../fs-dlm/inspect/support";

interface Story {
  node?: number;
  tid?: number;
  queue: "granted" | "converting" | "waiting";
  mode?: number;
  requested?: number;
  exflags?: number;
}

const STATUS = { waiting: 1, granted: 2, converting: 3 };

/** The master's (node 1's) list of a resource, each lock of another process unless the story says otherwise. */
function told(name: string, stories: Story[]): string {
  const lines = stories.map(({ node = 0, tid, queue, mode = -1, requested = -1, exflags = 0 }, at) => {
    const id = (at + 1).toString(16);
    const other = node === 0 ? `${id} 0 0` : `${id} ${node} ${(at + 0x101).toString(16)}`;
    const flags = node === 0 ? 0 : "10000";
    return `lkb ${other} ${tid ?? 100 + at} 0 ${exflags.toString(16)} ${flags} ${STATUS[queue]} ${mode} ${requested} 0 0 0 0 1 0`;
  });
  return [`rsb 0 0 0 0 0 0 0 ${name.length} str ${name}`, ...lines, ""].join("\n");
}

const master = (text: string, lockspace = "cap"): LockDump => dumpFrom(1, "all", text, lockspace);
const [NL, CR, CW, PR, EX] = [0, 1, 2, 3, 5];

function blockers({ blockers: found }: Wait): string[] {
  return found.map(({ lkid, reason }) => `${lkid} ${reason}`);
}

describe("the wait-for graph", () => {
  it("has those whose granted mode lets the requested one not in, and those who asked before", () => {
    const { waits } = waitForGraph([
      master(
        told("r", [
          { queue: "granted", mode: PR },
          { queue: "granted", mode: NL },
          { queue: "converting", mode: PR, requested: EX },
          { queue: "converting", mode: NL, requested: CR },
          { queue: "waiting", requested: EX },
          { queue: "waiting", requested: CR },
        ]),
      ),
    ]);
    assert.deepEqual(
      waits.map((wait) => [wait.lkid, wait.queue, blockers(wait)]),
      [
        [3, "converting", ["1 held"]],
        [4, "converting", ["3 ahead"]],
        [5, "waiting", ["1 held", "3 held", "4 ahead"]],
        [6, "waiting", ["3 ahead", "4 ahead", "5 ahead"]],
      ],
    );
  });

  it("lets who asked for no order jump the queue", () => {
    const NOORDER = 0x2000;
    const [, wait] = waitForGraph([
      master(
        told("r", [
          { queue: "granted", mode: CW },
          { queue: "waiting", requested: EX },
          { queue: "waiting", requested: PR, exflags: NOORDER },
        ]),
      ),
    ]).waits;
    assert.deepEqual(wait && blockers(wait), ["1 held"]);
  });

  for (const kernel of ["6.1", "6.12"]) {
    const dumps = (): LockDump[] => [1, 2].map((n) => dumpFrom(n, "all", dumpText(`${kernel}/n${n}_all`)));

    it(`joins both nodes' dumps of ${kernel}, and finds the deadlock in them`, () => {
      const graph = waitForGraph(dumps());
      assert.deepEqual(graph.problems, []);
      assert.ok(graph.waits.every(({ complete }) => complete));
      const deadlocks = findDeadlocks(graph);
      assert.equal(deadlocks.length, 1);
      assert.equal(deadlocks[0]?.owners.length, 2);
      const cycle = deadlocks[0].cycle.map(({ wait, blocker }) => [wait.resource, wait.node, wait.lkid, blocker.lkid]);
      assert.equal(cycle.length, 2);
      // r would do as well as A and B: node 2 waits there for node 1, and node 1 for it
      for (const [, node, lkid] of cycle) {
        const own = dumps()[Number(node) - 1]?.resources?.flatMap((r) => [...r.converting, ...r.waiting]);
        assert.ok(own?.some((lock) => lock.copy !== "master" && lock.lkid === lkid));
      }
    });

    it(`makes what it can of one node's dump of ${kernel}`, () => {
      const graph = waitForGraph(dumps().slice(0, 1));
      assert.deepEqual(
        graph.problems.map(({ code, hint }) => [code, /'(.*)'.* node (\d)/.exec(hint)?.slice(1)]),
        [["ERR_MASTER_UNKNOWN", ["B", "2"]]],
      );
      const b = graph.waits.find(({ resource }) => resource === "B");
      assert.deepEqual([b?.complete, b?.blockers], [false, []]);
    });

    it(`_locks of ${kernel} make the same graph`, () => {
      const plain = (source: "all" | "locks"): unknown =>
        waitForGraph([1, 2].map((n) => dumpFrom(n, source, dumpText(`${kernel}/n${n}_${source}`))))
          .waits.map((wait) => ({
            ...wait,
            queuedUs: 0,
            blockers: wait.blockers.map((blocker) => ({ ...blocker, queuedUs: 0 })),
          }))
          .sort((a, b) => `${a.resource}${a.lkid}`.localeCompare(`${b.resource}${b.lkid}`));
      assert.deepEqual(plain("locks"), plain("all"));
    });
  }

  it("of a long line stays small, and who is at its end still waits for its beginning", () => {
    const length = 5000;
    const line = Array.from({ length }, (): Story => ({ queue: "waiting", requested: EX }));
    const last = told("s", [
      { queue: "granted", mode: EX, tid: 99 + length + 1 },
      { queue: "waiting", requested: EX, tid: 100 },
    ]);
    const graph = waitForGraph([master(told("r", [{ queue: "granted", mode: EX }, ...line]) + last)]);
    assert.ok(graph.waits.every(({ blockers: found }) => found.length <= 65));
    // the holder of r waits on s for the last in r's line
    assert.deepEqual(
      findDeadlocks(graph).map(({ cycle }) => cycle.length),
      [2],
    );
  }).timeout(20_000);

  it("says of a dump that could not be read", () => {
    const problem = { path: "/sys/kernel/debug/dlm/cap_all", code: "EACCES", hint: "be root" };
    const graph = waitForGraph([{ ...master(""), resources: undefined, problems: [problem] }]);
    assert.deepEqual(graph, { owners: [], waits: [], problems: [problem] });
    assert.deepEqual(findDeadlocks(graph), []);
  });
});

describe("deadlocks", () => {
  /** Owner `from` waits on `name` for owner `to`; both are threads of node 1. */
  const wait = (name: string, from: number, ...to: number[]): string =>
    told(name, [
      ...to.map((tid): Story => ({ queue: "granted", mode: PR, tid })),
      { queue: "waiting", requested: EX, tid: from },
    ]);
  const find = (...texts: string[]): { owners: number[]; cycle: number[] }[] =>
    findDeadlocks(waitForGraph([master(texts.join(""))])).map(({ owners, cycle }) => ({
      owners: owners.map(({ tid }) => tid).sort(),
      cycle: cycle.map(({ wait: { owner } }) => Number(owner.split(" ").at(-1))),
    }));

  it("are circles, not lines", () => {
    assert.deepEqual(find(wait("a", 1, 2), wait("b", 2, 3), wait("c", 3, 4)), []);
    assert.deepEqual(find(wait("a", 1, 2, 3), wait("b", 2, 3)), []);
    const [circle, ...more] = find(wait("a", 1, 2), wait("b", 2, 3), wait("c", 3, 1), wait("d", 4, 1));
    assert.deepEqual(more, []);
    assert.deepEqual(circle?.owners, [1, 2, 3]);
    const at = circle.cycle.indexOf(1);
    assert.deepEqual([...circle.cycle.slice(at), ...circle.cycle.slice(0, at)], [1, 2, 3]);
  });

  it("of several groups are each found, by a shortest circle", () => {
    const found = find(
      ...[wait("a", 1, 2), wait("b", 2, 3), wait("c", 3, 1), wait("d", 2, 1)],
      ...[wait("e", 8, 9), wait("f", 9, 8)],
    );
    assert.deepEqual(
      found.map(({ owners, cycle }) => [owners, cycle.length]),
      [
        [[1, 2, 3], 2],
        [[8, 9], 2],
      ],
    );
  });

  it("are none of one process's own tasks", () => {
    assert.deepEqual(find(wait("a", 1, 1)), []);
  });

  it("go across lockspaces", () => {
    const dumps = [master(wait("a", 1, 2), "one"), master(wait("a", 2, 1), "two")];
    const [found] = findDeadlocks(waitForGraph(dumps));
    assert.deepEqual(found?.cycle.map(({ wait: { lockspace } }) => lockspace).sort(), ["one", "two"]);
  });

  it("of long chains do not run out of stack", () => {
    const length = 20_000;
    const chain = Array.from({ length }, (_, at) => wait(`r${at}`, at + 1, ((at + 1) % length) + 1));
    assert.deepEqual(
      find(...chain).map(({ owners, cycle }) => [owners.length, cycle.length]),
      [[length, length]],
    );
  }).timeout(20_000);

  it("are red in the picture, and its words are quoted", () => {
    const graph = waitForGraph([master(wait('say "hi"', 1, 2) + wait("b", 2, 1) + wait("c", 3, 1))]);
    const dot = waitForDot(graph);
    assert.match(dot, /^digraph waits \{\n/);
    assert.match(dot, /"node 1 tid 1" -> "node 1 tid 2" \[label="say \\"hi\\" EX", color="red"\];/);
    assert.match(dot, /"node 1 tid 3" -> "node 1 tid 1" \[label="c EX"\];/);
  });
});

describe("orphans", () => {
  it("are told by 6.1, and unknown on 6.12", () => {
    const old = orphansOf(dumpFrom(1, "all", dumpText("6.1/n1_all")));
    assert.deepEqual([old.known, old.locks.map(({ resource }) => resource.name)], [true, ["orphan"]]);
    const later = orphansOf(dumpFrom(1, "all", dumpText("6.12/n1_all")));
    assert.deepEqual(later, { known: false, locks: [] });
  });
});

describe("value blocks in dumps", () => {
  it("are the master's, with the kernel's word on them", () => {
    for (const kernel of ["6.1", "6.12"]) {
      const { resources } = dumpFrom(1, "all", dumpText(`${kernel}/n1_all`));
      const values = (resources ?? []).flatMap(({ name, lvb }) => (lvb ? [[name, lvb.valid]] : []));
      assert.deepEqual(values.sort(), [
        ["dead", false],
        ["r", true],
      ]);
    }
  });
});
