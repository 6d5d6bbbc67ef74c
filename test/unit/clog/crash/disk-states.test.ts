import assert from "node:assert/strict";

import { Contents, DisksOfRequests, DiskStates, SECTOR } from "../../../kernel/clog/crash/disk-states";
import { Fabricated } from "./fabricated";

const fill = (...letters: string[]): Buffer => Buffer.concat(letters.map((letter) => Buffer.alloc(SECTOR, letter)));

/** The letters that the first sectors of disk 0 may have, and in capitals those that are certain; "-" is a zero. */
function possible(recording: Fabricated, count = 1): string {
  const contents = new Contents();
  const states = new DiskStates(contents);
  const disks = new DisksOfRequests();
  let at = 0;
  for (const event of recording.events()) if (disks.of(event) === 0) states.take(event, at++);
  const letter = (number: number): string => contents.bytes(number).toString("latin1", 0, 1).replace("\0", "-");
  return Array.from({ length: count }, (_, sector) => {
    const certain = states.certain(sector).map(letter);
    const all = states.possible(sector).map(letter);
    return all.map((one) => (certain.includes(one) ? one.toUpperCase() : one)).join("");
  }).join(" ");
}

describe("cluster log, crash: what a disk may hold", () => {
  it("is zeroes, and from when a write comes on that too", () => {
    const recording = new Fabricated();
    assert.equal(possible(recording), "-");
    const request = recording.begin(0, 0, fill("a"));
    assert.equal(possible(recording), "-a");
    recording.done(request);
    assert.equal(possible(recording), "-a");
  });

  it("is certain once a flush that came after a write was done is done", () => {
    const recording = new Fabricated().write(0, 0, fill("a"));
    const flush = recording.beginFlush(0);
    assert.equal(possible(recording), "-a");
    recording.done(flush);
    assert.equal(possible(recording), "A");
  });

  it("is not made certain by a flush that came before a write was done, or by that of another disk", () => {
    const recording = new Fabricated();
    const write = recording.begin(0, 0, fill("a"));
    const flush = recording.beginFlush(0);
    recording.done(write, flush).flush(1);
    assert.equal(possible(recording), "-a");
  });

  it("is certain when a durable write is done, and of that write alone", () => {
    const recording = new Fabricated().write(0, 0, fill("a"));
    const durable = recording.begin(0, SECTOR, fill("b"), true);
    assert.equal(possible(recording, 2), "-a -b");
    recording.done(durable);
    assert.equal(possible(recording, 2), "-a B");
  });

  it("is any version since the last that is certain", () => {
    const recording = new Fabricated().write(0, 0, fill("a")).flush(0);
    recording.write(0, 0, fill("b")).write(0, 0, fill("c"));
    assert.equal(possible(recording), "Abc");
    recording.flush(0);
    assert.equal(possible(recording), "C");
  });

  it("is torn between sectors: each has its own versions", () => {
    const recording = new Fabricated()
      .write(0, 0, fill("a", "b", "c"))
      .flush(0)
      .write(0, SECTOR, fill("d"));
    assert.equal(possible(recording, 3), "A Bd C");
  });

  it("is either of two writes that were under way together, though both are certain", () => {
    const recording = new Fabricated();
    const [a, b] = [recording.begin(0, 0, fill("a")), recording.begin(0, 0, fill("b"))];
    recording.done(b, a).flush(0);
    assert.equal(possible(recording), "AB");
    recording.write(0, 0, fill("c")).flush(0);
    assert.equal(possible(recording), "C");
  });

  it("does not go back for a write that was done early and is made certain late", () => {
    const recording = new Fabricated();
    const [a, b] = [recording.begin(0, 0, fill("a")), recording.begin(0, SECTOR, fill("x"))];
    recording.done(a);
    recording.write(0, 0, fill("b"), true);
    recording.done(b).flush(0);
    assert.equal(possible(recording, 2), "B X");
  });

  it("is unknown after a failed request, or a power cut", () => {
    const contents = new Contents();
    const states = new DiskStates(contents);
    states.take({ kind: "flush", request: 0, disk: 0, node: 1 }, 0);
    assert.throws(() => states.take({ kind: "done", request: 0, failed: true }, 1), /has failed/);
    assert.throws(() => new DisksOfRequests().of({ kind: "lost", node: 1 }), /power was cut/);
  });
});
