import assert from "node:assert/strict";

import { judge } from "../../../kernel/clog/crash/analysis";
import { BLOCK } from "../../../kernel/clog/crash/blocks";
import { SECTOR } from "../../../kernel/clog/crash/disk-states";
import { blockOf, Fabricated, LOG, logOf, MARKER, MIRROR } from "./fabricated";

/** What is found, each kind with the regions. */
function found(recording: Fabricated): string[] {
  const { violations } = judge(recording, MARKER);
  return [...new Set(violations.map(({ kind, region }) => `${kind} ${region}`))];
}

const LEGS = MIRROR.legs;

describe("cluster log, crash: judging a recording", () => {
  it("finds nothing in a write that is marked first, and a clear after the legs' flush", () => {
    const recording = new Fabricated().inSync();
    recording
      .log([1])
      .flush(LOG)
      .block(LEGS, 0, 2)
      .flush(...LEGS);
    recording.mark({ acked: [[0, 2]] }).log([0, 1]);
    const { violations, seen } = judge(recording, MARKER);
    assert.deepEqual(violations, []);
    assert.equal(seen.legWrites, 2);
    assert.equal(seen.acked, 3);
    assert.equal(seen.marked, 1);
    assert.ok(seen.points > 10);
    // the clear was not flushed
    assert.deepEqual(found(recording.flush(LOG)), []);
  });

  it("finds a write whose mark is not flushed", () => {
    const recording = new Fabricated().inSync().log([1]).block(LEGS, 0, 2);
    assert.deepEqual(found(recording), ["unmarked-write 0", "unsynced-clean 0"]);
  });

  it("finds a write whose mark is under way", () => {
    const recording = new Fabricated().inSync();
    const marking = recording.begin(LOG, 0, logOf([1], 2), true);
    const write = recording.begin(0, 0, blockOf(0, 2));
    recording.done(marking, write);
    assert.deepEqual(found(recording), ["unmarked-write 0", "unsynced-clean 0"]);
  });

  it("finds a clear before the legs' flush, though it is not flushed itself", () => {
    const recording = new Fabricated().inSync().log([1]).flush(LOG).block(LEGS, 0, 2);
    assert.deepEqual(found(recording), []);
    recording.begin(LOG, 0, logOf([0, 1], 2));
    assert.deepEqual(found(recording), ["unsynced-clean 0"]);
  });

  it("finds a clear after the flush of one leg", () => {
    const recording = new Fabricated().inSync().log([1]).flush(LOG).block(LEGS, 0, 2);
    assert.deepEqual(found(recording.flush(0).log([0, 1])), ["unsynced-clean 0"]);
  });

  it("finds a clear while the legs' flush is under way", () => {
    const recording = new Fabricated().inSync().log([1]).flush(LOG).block(LEGS, 0, 2);
    const flushes = LEGS.map((leg) => recording.beginFlush(leg));
    const clear = recording.begin(LOG, 0, logOf([0, 1], 2));
    recording.done(...flushes, clear);
    assert.deepEqual(found(recording), ["unsynced-clean 0"]);
  });

  it("finds a clear of a write that one leg never got", () => {
    const recording = new Fabricated()
      .inSync()
      .log([1])
      .flush(LOG)
      .block([1], 0, 2)
      .flush(...LEGS);
    assert.deepEqual(found(recording.log([0, 1])), ["unsynced-clean 0"]);
  });

  it("finds legs that differ in one sector", () => {
    const recording = new Fabricated().inSync().log([0]).flush(LOG);
    recording.block([0], 1, 2).write(1, BLOCK, blockOf(1, 2).subarray(0, BLOCK - SECTOR));
    assert.deepEqual(found(recording.flush(...LEGS).log([0, 1])), ["unsynced-clean 1"]);
  });

  it("finds an acknowledged write that is not flushed", () => {
    const recording = new Fabricated().inSync().log([1]).flush(LOG).block(LEGS, 0, 2).flush(1);
    assert.deepEqual(found(recording.mark({ acked: [[0, 2]] })), ["lost-write 0"]);
  });

  it("finds a resynchronisation that brings an old version back", () => {
    const recording = new Fabricated()
      .inSync()
      .log([1])
      .flush(LOG)
      .block(LEGS, 0, 2)
      .flush(...LEGS);
    recording.mark({ acked: [[0, 2]] });
    assert.deepEqual(found(recording), []);
    assert.deepEqual(found(recording.block([1], 0, 1)), []);
    assert.deepEqual(found(recording.block([0], 0, 1)), ["lost-write 0"]);
  });

  it("takes nothing from a log without a header, or of regions that it is not of", () => {
    const begun = (): Fabricated => new Fabricated().block([0], 0, 1).flush(0);
    const bits = logOf([0, 1], 2).subarray(SECTOR);
    const garbage = begun().write(LOG, SECTOR, bits).flush(LOG).mark({ mirror: MIRROR });
    assert.deepEqual(found(garbage), []);
    assert.deepEqual(found(garbage.write(LOG, 0, logOf([], 2).subarray(0, SECTOR))), ["unsynced-clean 0"]);
    const grown = begun().block([0], 1, 1).flush(0).log([1], 1).flush(LOG).mark({ mirror: MIRROR });
    assert.deepEqual(found(grown), []);
    assert.deepEqual(found(grown.write(LOG, 0, logOf([], 2).subarray(0, SECTOR))), ["unsynced-clean 1"]);
  });

  it("finds a header that may be there before the bits are", () => {
    const recording = new Fabricated()
      .block([0], 0, 1)
      .flush(0)
      .write(LOG, 0, logOf([0, 1], 0))
      .flush(LOG);
    assert.deepEqual(found(recording.mark({ mirror: MIRROR }).log([])), ["unsynced-clean 0"]);
  });

  it("says what would be seen, and tells it once", () => {
    const recording = new Fabricated().inSync().log([1]).flush(LOG).block(LEGS, 0, 2);
    const at = recording.at;
    recording.log([0, 1]).flush(LOG);
    assert.deepEqual(judge(recording, MARKER).violations, [
      {
        kind: "unsynced-clean",
        at,
        region: 0,
        text:
          "the log may call region 0 clean, and sector 0 may be version 1 or 2 on leg 0 " +
          "and version 1 or 2 on leg 1",
      },
    ]);
  });

  it("judges nothing while there is no mirror", () => {
    const recording = new Fabricated().inSync().mark({ mirror: null }).block([0], 0, 5).block([1], 1, 6);
    assert.deepEqual(found(recording), []);
  });
});
