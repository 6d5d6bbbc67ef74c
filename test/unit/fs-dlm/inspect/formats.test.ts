import assert from "node:assert/strict";

import { TossParser } from "../../../../lib/fs-dlm/inspect/formats/toss";
import { parseWaiters } from "../../../../lib/fs-dlm/inspect/formats/waiters";
import { AllParser } from "../../../../lib/fs-dlm/inspect/formats/all";
import { LocksParser } from "../../../../lib/fs-dlm/inspect/formats/locks";

import { dumpText, parse } from "./support";

const BINARY = '\0\x01\xff\x80\n"\x07';
const NAMES = [BINARY, "A", "B", "a\0b", "dead", "new\nline", "orphan", "r", 'sp ace "quote"'];

for (const kernel of ["6.1", "6.12"]) {
  describe(`dumps of ${kernel}`, () => {
    it("_all has every resource, under its whole name, however it is printed", () => {
      const names = parse("all", dumpText(`${kernel}/n1_all`)).map(({ name }) => name);
      assert.deepEqual(names.sort(), [...NAMES].sort());
    });

    it("_locks has names with quotes and line breaks whole, and those with a NUL up to it", () => {
      const resources = parse("locks", dumpText(`${kernel}/n1_locks`));
      const whole = resources.filter(({ nameComplete }) => nameComplete).map(({ name }) => name);
      const cut = resources.filter(({ nameComplete }) => !nameComplete).map(({ name }) => name);
      assert.deepEqual(whole.sort(), NAMES.filter((name) => !name.includes("\0")).sort());
      assert.deepEqual(cut.sort(), ["", "a"]);
    });

    it("mean the same in pieces of any size", () => {
      for (const source of ["all", "locks"] as const) {
        const text = dumpText(`${kernel}/n1_${source}`);
        const whole = parse(source, text);
        for (const size of [1, 7, 64, 255]) assert.deepEqual(parse(source, text, size), whole);
      }
    });

    it("have the queues, the value and the columns of a lock", () => {
      const r = parse("all", dumpText(`${kernel}/n1_all`)).find(({ name }) => name === "r");
      assert.equal(r?.nodeId, 0);
      assert.equal(r.lvb?.sequence, 1);
      assert.equal(Buffer.from(r.lvb.hex, "hex").toString().replace(/\0+$/, ""), "hello lvb");
      assert.deepEqual(
        r.locks.map(({ lkid, nodeId, remoteLkid, status, granted, requested }) => [
          ...[lkid, nodeId, remoteLkid, status, granted, requested],
        ]),
        [
          [8, 2, 1, 2, 3, -1],
          [1, 0, 0, 3, 3, 5],
          [11, 0, 0, 1, -1, 5],
          [14, 2, 7, 1, -1, 2],
        ],
      );
      const orphan = parse("all", dumpText(`${kernel}/n1_all`)).find(({ name }) => name === "orphan");
      assert.equal(orphan?.locks[0]?.xid, String(0xfeedbeef));
    });

    it("both files agree, on the time in the queue too", () => {
      const all = new Map(
        parse("all", dumpText(`${kernel}/n1_all`), undefined, Number.MAX_SAFE_INTEGER)
          .flatMap(({ locks }) => locks)
          .map((lock) => [lock.lkid, lock]),
      );
      const offsets = parse("locks", dumpText(`${kernel}/n1_locks`))
        .flatMap(({ locks }) => locks)
        .map(({ queuedUs, ...lock }) => {
          const { queuedUs: since, ...other } = all.get(lock.lkid)!;
          assert.deepEqual(lock, other);
          return since! - queuedUs!;
        });
      // one clock: what is ahead of the other file's times is so for all alike, within the time of printing
      assert.ok(Math.max(...offsets) - Math.min(...offsets) < 20_000, `${offsets.join()} us`);
    });

    it("_toss names the last master and the directory's node", () => {
      const parser = new TossParser();
      parser.push(dumpText(`${kernel}/n1_toss`));
      const tossed = parser.end().find(({ name }) => name === "tossed");
      assert.deepEqual(tossed, { name: "tossed", masterNodeId: 1, directoryNodeId: 2, ourNodeId: 1 });
      assert.equal(parser.stranger, undefined);
    });
  });
}

describe("dumps", () => {
  // fs/dlm/debug_fs.c of 7.2: the lines of 6.12, a lock that looks for its master, bits of flags that 6.1 has not.
  const LATER = `rsb ptr nodeid first_lkid flags !root_list_empty !recover_list_empty recover_locks_count len
rsb ffff8881034d2a00 -1 7 200 1 0 0 1 str q
lkb 7 -1 0 300 18446744073709551615 0 0 0 -1 5 -1 0 11 0 0 0
lkb 8 -1 0 301 0 0 0 0 -1 3 -1 1 0 0 0 0
rsb ffff8881034d2b00 0 0 202 0 0 0 2 hex c3 a9
lvb 4294967295 64 ${Array.from({ length: 64 }, () => "ff").join(" ")}
lkb 9 0 0 300 0 8 800000 2 5 -1 3 0 0 4 1000 2000
`;

  it("of kernels up to 7.2 are understood", () => {
    const [q, e] = parse("all", LATER, 11, 5000);
    assert.deepEqual(
      q?.locks.map(({ lookup, waitType, queuedUs }) => [lookup, waitType, queuedUs]),
      [
        [false, 11, undefined],
        [true, 0, undefined],
      ],
    );
    assert.equal(q.locks[0]?.xid, "18446744073709551615");
    assert.equal(q.recovering, true);
    assert.equal(e?.name, "\xc3\xa9");
    assert.equal(e.lvb?.hex.length, 128);
    assert.equal(e.locks[0]?.queuedUs, 4);
  });

  it("may be empty, with a header and without", () => {
    assert.deepEqual(parse("all", ""), []);
    assert.deepEqual(parse("all", `${LATER.split("\n")[0]}\n`), []);
    assert.deepEqual(
      parse("locks", "id nodeid remid pid xid exflags flags sts grmode rqmode time_ms r_nodeid r_len r_name\n"),
      [],
    );
  });

  it("that list a resource twice count its locks once, as they were last", () => {
    const rsb = (grmode: number): string =>
      `rsb 0 0 0 0 0 0 0 1 str r\nlkb 1 0 0 5 0 0 1 2 ${grmode} -1 0 0 0 0 10 0\n`;
    const [r, ...more] = parse("all", rsb(5) + rsb(3));
    assert.deepEqual(more, []);
    assert.deepEqual(
      r?.locks.map(({ granted }) => granted),
      [3],
    );
    const line = (grmode: number): string => `1 0 0 5 0 0 1 2 ${grmode} -1 10 0 1 "r"\n`;
    assert.deepEqual(
      parse("locks", line(5) + line(3))[0]?.locks.map(({ granted }) => granted),
      [3],
    );
  });

  it("are not fooled by a name that looks like their lines", () => {
    const name = 'x"\n2 0 0 5 0 0 1 2 5 -1 10 0 1 "y';
    const line = (lkid: number, resource: string): string =>
      `${lkid} 0 0 5 0 0 1 2 5 -1 10 4294967295 ${resource.length} "${resource}"\n`;
    const resources = parse("locks", line(1, name) + line(3, "r"), 5);
    assert.deepEqual(
      resources.map((resource) => [resource.name, resource.nodeId, resource.locks.length]),
      [
        [name, -1, 1],
        ["r", -1, 1],
      ],
    );
  });

  it("with lines of another format say so, and give the rest", () => {
    const all = new AllParser();
    all.push(
      "rsb 0 0 0 0 0 0 0 1 str r\nlkb 1 2\nnew stuff\nlkb 1 0 0 5 0 0 1 2 5 -1 0 0 0 0 10 0 and more\n",
      undefined,
    );
    assert.deepEqual(
      all.end().map(({ locks }) => locks.length),
      [1],
    );
    assert.equal(all.stranger, "lkb 1 2");
    const locks = new LocksParser();
    locks.push('what is this\n1 0 0 5 0 0 1 2 5 -1 10 0 1 "r"\ncut o');
    assert.equal(locks.end().length, 1);
    assert.equal(locks.stranger, "what is this\n");
  });

  it("of one resource leave out the others", () => {
    const parser = new AllParser(BINARY);
    parser.push(dumpText("6.1/n1_all"), undefined);
    assert.deepEqual(
      parser.end().map(({ name, locks }) => [name, locks.length]),
      [[BINARY, 1]],
    );
    const locks = new LocksParser("new\nline");
    locks.push(dumpText("6.1/n1_locks"));
    assert.deepEqual(
      locks.end().map(({ name }) => name),
      ["new\nline"],
    );
  });
});

describe("_waiters", () => {
  it("are read, and a name with a line break by what is known of it", () => {
    const text = "2 11 -1 q1\n1f 2 2 q 3\nx\n4 1 3 a b\n";
    assert.deepEqual(parseWaiters(text, new Set(["q1", "q 3\nx"])).waiters, [
      { lkid: 2, waitType: 11, nodeId: -1, name: "q1" },
      { lkid: 31, waitType: 2, nodeId: 2, name: "q 3\nx" },
      { lkid: 4, waitType: 1, nodeId: 3, name: "a b" },
    ]);
    assert.deepEqual(
      parseWaiters(text).waiters.map(({ name }) => name),
      ["q1", "q 3", "a b"],
    );
    assert.deepEqual(parseWaiters(""), { waiters: [], truncated: false });
  });

  it("that may be cut short say so", () => {
    assert.equal(parseWaiters("1 1 2 r\n".repeat(511)).truncated, true);
    assert.equal(parseWaiters("1 1 2 r\n".repeat(100)).truncated, false);
  });
});
