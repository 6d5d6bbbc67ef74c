// The parts of the benchmark that decide whether `npm run bench` says that all is well.

import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}
interface Workload {
  readonly name: string;
  readonly depth: number;
}
interface Gate {
  readonly workload: string;
  readonly peer?: string;
  readonly limit: number;
}
interface Verdict {
  readonly gate: string;
  readonly value: number;
  readonly passed: boolean;
}
interface Party {
  turn(workload: unknown, count: number): Promise<number>;
}
type Rates = Map<string, Map<string, Summary>>;

// plain programs' modules: they have no types of their own
const load = async <T>(file: string): Promise<T> =>
  (await import(pathToFileURL(path.resolve(__dirname, "../../../bench", file)).href)) as T;

const statistics = () =>
  load<{ median: (values: number[]) => number; summary: (rounds: number[]) => Summary & { rounds: number[] } }>(
    "statistics.mjs",
  );
const workloads = () =>
  load<{ LOCAL: Workload[]; REMOTE: Workload[]; GATES: Gate[]; partiesOf: (workload: Workload) => string[] }>(
    "workloads.mjs",
  );
const gates = () =>
  load<{ judge: (rates: Rates, calls: number | undefined, gates?: Gate[]) => Verdict[] }>("gates.mjs");

const rates = (ours: number, peer: number): Rates => {
  const of = (median: number): Summary => ({ median, min: median, max: median });
  return new Map([
    [
      "w",
      new Map([
        ["ours", of(ours)],
        ["peer", of(peer)],
      ]),
    ],
  ]);
};

describe("the benchmark's judgement", () => {
  it("takes the middle of the rounds", async () => {
    const { median, summary } = await statistics();
    assert.equal(median([5]), 5);
    assert.equal(median([9, 1, 10]), 9);
    assert.equal(median([4, 1, 3, 100]), 3.5);
    const rounds = [3, 1, 2];
    assert.deepEqual(summary(rounds), { median: 2, min: 1, max: 3, rounds: [3, 1, 2] });
    assert.deepEqual(rounds, [3, 1, 2]);
  });

  it("passes a ratio at its limit and fails one below it", async () => {
    const { judge } = await gates();
    const gate = [{ workload: "w", peer: "peer", limit: 0.7 }];
    const verdict = (ours: number) => judge(rates(ours, 1000), undefined, gate)[0]!;
    assert.equal(verdict(700).passed, true);
    assert.equal(verdict(699).passed, false);
    assert.equal(verdict(1400).value, 1.4);
  });

  it("passes as many system calls as the limit says and no more", async () => {
    const { judge } = await gates();
    const gate = [{ workload: "w", limit: 2.2 }];
    assert.equal(judge(new Map(), 2.2, gate)[0]!.passed, true);
    assert.equal(judge(new Map(), 2.21, gate)[0]!.passed, false);
  });

  it("says nothing of what was not measured", async () => {
    const { judge } = await gates();
    assert.deepEqual(judge(new Map(), undefined), []);
    const gate = [{ workload: "w", peer: "another", limit: 1 }];
    assert.deepEqual(judge(rates(1, 1), undefined, gate), []);
  });

  it("knows for each gate a workload and a peer that takes part in it", async () => {
    const { LOCAL, REMOTE, GATES, partiesOf } = await workloads();
    for (const { workload, peer } of GATES) {
      const found = [...LOCAL, ...REMOTE].find(({ name }) => name === workload);
      assert.ok(found, workload);
      if (peer !== undefined) assert.ok(partiesOf(found).includes(peer), peer);
    }
  });

  it("gives every party its turn in every round, with as much work as it does in the time", async () => {
    const { compare } = await load<{
      compare: (
        parties: Map<string, Party>,
        workload: unknown,
        options: { rounds: number; seconds: number },
      ) => Promise<Map<string, Summary & { rounds: number[] }>>;
    }>("compare.mjs");
    const turns: { name: string; seconds: number }[] = [];
    const party = (name: string, rate: number): [string, Party] => [
      name,
      {
        turn: (_workload, count) => {
          turns.push({ name, seconds: count / rate });
          return Promise.resolve(count / rate);
        },
      },
    ];
    const found = await compare(new Map([party("slow", 500), party("fast", 40_000)]), {}, { rounds: 3, seconds: 1 });
    assert.deepEqual(
      turns.slice(-6).map(({ name }) => name),
      ["slow", "fast", "slow", "fast", "slow", "fast"],
    );
    for (const { seconds } of turns.slice(-6)) assert.ok(seconds > 0.9 && seconds < 1.1, `${seconds} s`);
    assert.deepEqual(
      [...found].map(([name, { median }]) => [name, Math.round(median)]),
      [
        ["slow", 500],
        ["fast", 40_000],
      ],
    );
  });

  it("warms a party up until it is no faster any more, or time is up", async () => {
    const { warmUp } = await load<{ warmUp: (party: Party, workload: unknown, limit: number) => Promise<void> }>(
      "compare.mjs",
    );
    const seconds = async (rateOf: (turn: number) => number, limit: number): Promise<number> => {
      let turns = 0;
      let spent = 0;
      const turn = (_workload: unknown, count: number): Promise<number> => {
        const took = count / rateOf(turns++);
        spent += took;
        return Promise.resolve(took);
      };
      await warmUp({ turn }, {}, limit);
      return spent;
    };
    assert.ok((await seconds(() => 10_000, 15)) < 6);
    const grows = await seconds((turn) => 1000 * 1.2 ** turn, 15);
    assert.ok(grows >= 15 && grows < 18, `${grows} s`);
  });

  it("sets tables in columns", async () => {
    const { table } = await load<{ table: (head: string[], rows: string[][]) => string }>("table.mjs");
    const rows = [
      ["a", "1"],
      ["bcd", "10"],
    ];
    assert.equal(table(["of", "n"], rows), "of    n\n---  --\na     1\nbcd  10\n");
  });
});
