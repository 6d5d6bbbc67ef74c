import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { Journal } from "../../../../lib/clog/daemon/journal";

describe("the daemon's words", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), "clogd-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  /** A pipe whose writer's end would wait when it is full. */
  function pipe(): { reader: number; writer: number } {
    const name = path.join(directory, "pipe");
    execFileSync("mkfifo", [name]);
    const reader = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
    return { reader, writer: openSync(name, "w") };
  }

  function drain(reader: number): string {
    const bytes = Buffer.alloc(1 << 20);
    let text = "";
    for (;;) {
      try {
        const count = readSync(reader, bytes);
        if (count === 0) return text;
        text += bytes.toString("utf8", 0, count);
      } catch {
        return text; // EAGAIN: it is empty
      }
    }
  }

  it("wait for nobody who does not read them: what finds no room is dropped and counted, and whole lines come", async () => {
    const { reader, writer } = pipe();
    const journal = new Journal(writer, {});
    const count = 5_000;
    for (let i = 0; i < count; i++) journal.say("info", `line ${i} ${"x".repeat(90)}`);
    assert.ok(journal.dropped > 0);
    let text = "";
    for (let i = 0; i < 10; i++) {
      text += drain(reader);
      await later(100);
    }
    journal.say("info", "last");
    await later(300);
    text += drain(reader);
    const lines = text.trimEnd().split("\n");
    assert.match(lines.at(-1)!, /^\d{4}-\d\d-\d\dT\S+Z last$/);
    assert.match(lines.at(-2)!, new RegExp(` ${journal.dropped} lines found no reader$`));
    assert.equal(lines.length - 2 + journal.dropped, count);
    for (const line of lines.slice(0, -2)) assert.match(line, /^\S+ line \d+ x{90}$/);
    journal.close();
    closeSync(reader);
    closeSync(writer);
  });

  it("leave the descriptor that others share as it is", () => {
    const { reader, writer } = pipe();
    const flags = (): string => readFileSync(`/proc/self/fdinfo/${writer}`, "utf8");
    const before = flags();
    const journal = new Journal(writer, {});
    journal.say("info", "something");
    assert.equal(flags(), before);
    journal.close();
    closeSync(reader);
    closeSync(writer);
  });

  it("go nowhere when the reader has gone, or there is no descriptor", () => {
    const { reader, writer } = pipe();
    const journal = new Journal(writer, {});
    closeSync(reader);
    journal.say("info", "one");
    journal.say("info", "two");
    assert.equal(journal.dropped, 2);
    journal.close();
    closeSync(writer);
    const none = new Journal(9_999, {});
    none.say("info", "three");
    assert.equal(none.dropped, 1);
    none.close();
  });

  it("have a time, or systemd's priority when they go to its journal; and each is one line", async () => {
    const file = path.join(directory, "log");
    const fd = openSync(file, "w");
    const { dev, ino } = fstatSync(fd);
    const journal = new Journal(fd, { JOURNAL_STREAM: `${dev}:${ino}` });
    journal.say("warning", "two\nlines\x1b[31m");
    await new Promise<void>((resolve) => {
      journal.whenIdle(5_000, resolve);
    });
    assert.equal(readFileSync(file, "utf8"), "<4>two lines [31m\n");
    const plain = new Journal(fd, { JOURNAL_STREAM: "0:1" });
    plain.say("notice", "hello");
    await later(100);
    assert.match(readFileSync(file, "utf8"), /\n\d{4}-\d\d-\d\dT[\d:.]+Z hello\n$/);
    closeSync(fd);
  });
});
