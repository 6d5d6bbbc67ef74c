import assert from "node:assert/strict";

import { compareLogWrites, type LogWritesEntry } from "../../../kernel/clog/crash/log-writes";
import { SECTOR } from "../../../kernel/clog/crash/disk-states";
import { Fabricated, MARKER } from "./fabricated";

const fill = (letter: string): Buffer => Buffer.alloc(SECTOR, letter);
const entry = (part: Partial<LogWritesEntry>): LogWritesEntry => ({
  ...{ sector: 0, data: Buffer.alloc(0), flush: false, fua: false, mark: undefined },
  ...part,
});
const write = (letter: string, fua = false): LogWritesEntry => entry({ data: fill(letter), fua });
const FLUSH = entry({ flush: true });
const MARK = entry({ mark: "end" });

/** Disk 0 is what is compared. */
const compare = (recording: Fabricated, ...log: LogWritesEntry[]): ReturnType<typeof compareLogWrites> =>
  compareLogWrites(recording.mark({ point: "end" }).events(), MARKER, [log, [MARK], [MARK]]);

describe("cluster log, crash: a recording beside the logs of dm-log-writes", () => {
  it("agrees with them when both have the same flushes", () => {
    const recording = new Fabricated().write(0, 0, fill("a")).flush(0).write(0, 0, fill("b"));
    const { sectors, open, overtaken } = compare(recording, write("a"), FLUSH, MARK, write("b"));
    assert.deepEqual({ sectors, open, overtaken }, { sectors: 1, open: 1, overtaken: 0 });
  });

  it("does not when one has another content, or misses a flush", () => {
    const other = new Fabricated().write(0, 0, fill("a")).flush(0);
    assert.throws(() => compare(other, write("b"), FLUSH, MARK), /another content of disk 0, sector 0/);
    const unflushed = new Fabricated().write(0, 0, fill("a"));
    assert.throws(() => compare(unflushed, write("a"), FLUSH, MARK), /another content of disk 0, sector 0/);
  });

  it("counts a write that was answered behind the flush that has it", () => {
    const recording = new Fabricated().write(0, 0, fill("a")).write(0, 0, fill("b")).flush(0);
    assert.equal(compare(recording, write("a"), FLUSH, MARK, write("b"), FLUSH).overtaken, 1);
  });

  it("knows that a durable write comes to the log before an older one that waits for a flush", () => {
    const recording = new Fabricated().write(0, 0, fill("a")).write(0, 0, fill("b")).flush(0);
    assert.equal(compare(recording, write("b", true), write("a"), FLUSH, MARK).overtaken, 0);
  });

  it("says which mark is missing", () => {
    assert.throws(() => compare(new Fabricated(), entry({ mark: "begin" })), /has mark begin for end/);
  });
});
