// Crash consistency of mirrors: their legs and their log are recorded by the lab and by dm-log-writes, every state that a
// power cut could have left at any moment is judged, and mirrors are started again from some of them.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import path from "node:path";

import type { DiskEvent } from "../../lib/lab";
import { readRecording } from "../../lib/lab";
import type { Verdict } from "./clog/crash/analysis";
import { Judge } from "./clog/crash/analysis";
import { compareLogWrites, readLogWrites } from "./clog/crash/log-writes";
import { clustered, KERNEL, MARKER, Rig } from "./clog/crash/rig";
import { shortLife, wholeLife } from "./clog/crash/scenario";
import { seed } from "./support/seed";

const WHOLE = clustered("whole", false);

describe("cluster log: what a power cut can leave", function () {
  this.timeout(180_000);
  const first = seed();
  let directory: string;
  let record: string;
  let rig: Rig;
  let judge: Judge;
  let read = 0;

  before(async () => {
    directory = mkdtempSync("/tmp/clt-crash-");
    record = path.join(directory, "disks.rec");
    rig = await Rig.open({ record, log: directory });
    judge = new Judge(readRecording(record).sizes.length, MARKER);
  });
  after(async () => {
    await rig.cluster.down();
    rmSync(directory, { recursive: true });
  });

  function* fresh(): Generator<DiskEvent, void> {
    let at = 0;
    for (const event of readRecording(record).events()) if (at++ >= read) yield event;
    read = at;
  }

  /** Judges what came since the last time, and compares it with the logs of dm-log-writes. */
  function verdictOf(logs: readonly string[]): Verdict & { from: number } {
    const from = read;
    const verdict = judge.read(fresh());
    const compared = compareLogWrites(readRecording(record).events(), MARKER, logs.map(readLogWrites), from);
    console.log(verdict.seen, compared);
    assert.ok(compared.sectors > 1000 && compared.flushes > 100, "dm-log-writes has nothing to compare");
    return { ...verdict, from };
  }

  function told({ violations }: Verdict): string {
    const some = violations.slice(0, 10).map(({ kind, at, text }) => `${kind} at ${at}: ${text}`);
    return `seed ${first}: ${violations.length} violations\n${some.join("\n")}`;
  }

  for (const subject of [KERNEL, WHOLE, clustered("whole", true)]) {
    it(`is in order under ${subject.title}, at every moment`, async () => {
      const verdict = verdictOf(await wholeLife(rig, subject, first));
      assert.deepEqual(verdict.violations, [], told(verdict));
      const { seen } = verdict;
      const all = [seen.points > 3000, seen.marked > 100, seen.cleaned > 200, seen.acked > 200, seen.mostOpen > 8];
      assert.ok(all.every(Boolean), `too little happened: ${JSON.stringify(seen)}`);
    });
  }

  it("is a region that nobody would resynchronise when the legs are not flushed before a clear", async () => {
    const { violations } = verdictOf(await shortLife(rig, clustered("no-leg-flush", false), first));
    const kinds = new Set(violations.map(({ kind }) => kind));
    assert.ok(kinds.has("unsynced-clean"), "the missing flush was not found");
    assert.ok(!kinds.has("unmarked-write"), "more than the missing flush was found");
  });

  it("is a write to a region that is still called clean when the log is not flushed", async () => {
    const { violations } = verdictOf(await shortLife(rig, clustered("no-log-flush", false), first));
    const kinds = new Set(violations.map(({ kind }) => kind));
    assert.ok(kinds.has("unmarked-write") && kinds.has("unsynced-clean"), "the missing flush was not found");
  });
});
