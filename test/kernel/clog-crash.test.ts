// Crash consistency of mirrors: their legs and their log are recorded by the lab and by dm-log-writes, every state that a
// power cut could have left at any moment is judged, and mirrors are started again from some of them.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import path from "node:path";

import type { DiskEvent } from "../../lib/lab";
import { readRecording } from "../../lib/lab";
import { random } from "../../lib/lab/qemu/disks/random";
import type { Verdict } from "./clog/crash/analysis";
import { Judge } from "./clog/crash/analysis";
import { cutsAt } from "./clog/crash/images";
import { compareLogWrites, readLogWrites } from "./clog/crash/log-writes";
import { putBack, startAgain } from "./clog/crash/restart";
import type { Subject } from "./clog/crash/rig";
import { clustered, KERNEL, MARKER, Rig } from "./clog/crash/rig";
import { shortLife, wholeLife } from "./clog/crash/scenario";
import { rounds } from "../rounds";
import { seed } from "./support/seed";

const WHOLE = clustered("whole", false);
const RESTARTS = rounds(60, 5);

describe("cluster log: what a power cut can leave", function () {
  this.timeout(300_000);
  const first = seed();
  let directory: string;
  let record: string;
  let rig: Rig;
  /** Of the recording: where the mirror of WHOLE was. */
  let life: [begin: number, end: number] | undefined;

  before(() => {
    directory = mkdtempSync("/tmp/clt-crash-");
    record = path.join(directory, "disks.rec");
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  describe("at any moment", () => {
    let judge: Judge;
    let read = 0;

    before(async () => {
      rig = await Rig.open({ record, log: directory });
      judge = new Judge(readRecording(record).sizes.length, MARKER);
    });
    after(async () => rig.cluster.down());

    function* unread(): Generator<DiskEvent, void> {
      let at = 0;
      for (const event of readRecording(record).events()) if (at++ >= read) yield event;
      read = at;
    }

    /** Judges what came since the last time, and compares it with the logs of dm-log-writes. */
    function judged(logs: readonly string[]): Verdict {
      const from = read;
      const verdict = judge.read(unread());
      const compared = compareLogWrites(readRecording(record).events(), MARKER, logs.map(readLogWrites), from);
      const enough = compared.sectors > 1000 && compared.flushes > 100 && compared.fuas > 50;
      assert.ok(enough, `nothing to compare: ${JSON.stringify(compared)}`);
      assert.ok(compared.overtaken < compared.sectors / 100, `two orders of flushes: ${JSON.stringify(compared)}`);
      return verdict;
    }

    const lives: [subject: Subject, deaths: number][] = [
      [WHOLE, 2],
      // a death costs 15 s when the kernel has just asked for something
      [clustered("whole", true), rounds(2, 0)],
    ];
    // it is none of ours: see docs/kernel-notes.md
    if (rounds(1, 0) === 1) lives.push([KERNEL, 0]);
    for (const [subject, deaths] of lives) {
      it(`is in order under ${subject.title}`, async () => {
        const { violations, seen } = judged(await wholeLife(rig, subject, first, deaths));
        const some = violations.slice(0, 10).map(({ kind, at, text }) => `${kind} at ${at}: ${text}`);
        assert.equal(violations.length, 0, `seed ${first}\n${some.join("\n")}`);
        const enough = [seen.points > 3000, seen.marked > 50, seen.cleaned > 200, seen.acked > 200, seen.mostOpen > 8];
        assert.ok(enough.every(Boolean), `too little happened: ${JSON.stringify(seen)}`);
        if (subject === WHOLE) life = [seen.begun[0]!, seen.named.get("end")!];
      });
    }

    it("is a region that nobody would resynchronise when the legs are not flushed before a clear", async () => {
      const { violations } = judged(await shortLife(rig, clustered("no-leg-flush", false), first));
      const kinds = new Set(violations.map(({ kind }) => kind));
      assert.ok(kinds.has("unsynced-clean"), "the missing flush was not found");
      assert.ok(!kinds.has("unmarked-write"), "more than the missing flush was found");
    });

    it("is a write to a region that is still called clean when the log is not flushed", async () => {
      const { violations } = judged(await shortLife(rig, clustered("no-log-flush", false), first));
      const kinds = new Set(violations.map(({ kind }) => kind));
      assert.ok(kinds.has("unmarked-write") && kinds.has("unsynced-clean"), "the missing flush was not found");
    });
  });

  describe("is what a mirror starts again from", () => {
    before(async () => {
      rig = await Rig.open({ log: directory });
      await rig.sh("modprobe dm-mirror");
    });
    after(async () => rig.cluster.down());

    it(`and then it is whole, with all that was acknowledged, from ${RESTARTS} of these states`, async () => {
      assert.ok(life, `the test "is in order under ${WHOLE.title}" has to go before, and well`);
      const [begin, end] = life;
      const dice = random(first);
      const places = Array.from({ length: RESTARTS }, () => begin + 1 + Math.floor(dice() * (end - begin - 1)));
      places.sort((a, b) => a - b);
      let [different, inSync, acked] = [0, 0, 0];
      for (const cut of cutsAt(readRecording(record), MARKER, places, dice)) {
        await putBack(rig, cut, directory);
        try {
          const restarted = await startAgain(rig, WHOLE, cut.mirror.length, cut.acked);
          different += restarted.different;
          inSync += restarted.inSync;
          acked += cut.acked.size;
        } catch (error) {
          throw new Error(`seed ${first}, cut at ${cut.at}`, { cause: error });
        }
        await rig.remove();
        await rig.unserve("TERM", true);
      }
      assert.ok(different > 0 && inSync > 0 && acked > 0, `nothing was at stake: ${different} ${inSync} ${acked}`);
    });
  });
});
