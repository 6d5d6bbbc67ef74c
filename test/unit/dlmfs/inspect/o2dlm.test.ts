import assert from "node:assert/strict";

import { assembleO2dlm } from "../../../../lib/dlmfs/inspect/o2dlm/assemble";
import { parseDlmState } from "../../../../lib/dlmfs/inspect/o2dlm/dlm-state";
import { LockingStateParser } from "../../../../lib/dlmfs/inspect/o2dlm/locking-state";
import { printName, readPrinted } from "../../../../lib/dlmfs/inspect/o2dlm/printed-names";

import { dumpText, parse, record } from "./support";

const NAMES = [
  "value",
  "cached",
  "held",
  "conv",
  "theirs",
  "Nshort00000000",
  "Nabcdefghijklmnop76777879",
  "new\nline",
  Buffer.from("umläut \\x").toString("latin1"),
].sort();

for (const version of ["6.1", "6.12"]) {
  describe(`o2dlm's locking_state of Linux ${version}`, () => {
    const [first, second] = [1, 2].map((node) => dumpText(`o2cb-${version}/n${node}_locking_state`));
    const find = (text: string | undefined, name: string, node: number): ReturnType<typeof assembleO2dlm> => {
      const raw = parse(text ?? "").find(({ printed }) => printed === name);
      assert.ok(raw, name);
      return assembleO2dlm(raw, node);
    };

    it("is the same in pieces of any size", () => {
      const whole = parse(first ?? "");
      assert.deepEqual(whole.map(({ printed }) => printed).sort(), NAMES);
      for (const size of [1, 2, 3, 7, 64, 1000]) assert.deepEqual(parse(first ?? "", size), whole, `${size}`);
    });

    it("has each queue's locks with owner, modes and cookie", () => {
      const held = find(first, "held", 0);
      assert.deepEqual([held.master, held.mastered, held.converting, held.truncated], [0, true, [], false]);
      const [granted] = held.granted;
      assert.deepEqual(
        [granted?.node, granted?.mode, granted?.requested, granted?.awaits],
        [0, "EX", undefined, undefined],
      );
      assert.match(granted?.id ?? "", /^0:\d+$/);
      const [waiting] = held.waiting;
      assert.deepEqual([waiting?.node, waiting?.mode, waiting?.requested], [1, undefined, "PR"]);
      const [converting] = find(first, "conv", 0).converting;
      assert.deepEqual([converting?.node, converting?.mode, converting?.requested], [0, "PR", "EX"]);
      assert.deepEqual(held.o2dlm?.referencedBy, [1]);
    });

    it("has a lock by the same cookie on its owner and on its master", () => {
      const [there] = find(first, "held", 0).waiting;
      const here = find(second, "held", 1);
      assert.deepEqual([here.master, here.mastered, here.waiting.map(({ id }) => id)], [0, false, [there?.id]]);
    });

    it("has the value on the master alone", () => {
      const { lvb } = find(first, "value", 0);
      assert.deepEqual([lvb?.hex.length, lvb?.valid, lvb?.sequence], [128, undefined, undefined]);
      assert.equal(
        Buffer.from(lvb?.hex ?? "", "hex")
          .toString()
          .replace(/\0+$/, ""),
        "value of node 1",
      );
      assert.equal(find(second, "value", 1).lvb, undefined);
    });

    it("comes with what o2dlm says of the domain", () => {
      const state = parseDlmState(dumpText(`o2cb-${version}/n2_dlm_state`));
      assert.deepEqual(
        [state?.node, state?.state, state?.protocol, state?.joins, state?.joiningNode],
        [1, "joined", "1.3", 1, undefined],
      );
      assert.deepEqual([state?.members, state?.leaving, state?.alive, state?.resources], [[0, 1], [], [0, 1], 4]);
      assert.deepEqual(state?.recovery, {
        active: false,
        deadNode: undefined,
        master: undefined,
        pending: [],
        nodes: [],
      });
    });
  });
}

describe("o2dlm's locking_state", () => {
  const HELD = { node: 0, queue: "granted", mode: 5 } as const;

  it("keeps what follows a record that filled its page, and says that it is cut", () => {
    const many = record(
      "many",
      0,
      Array.from({ length: 130 }, (_, node) => ({ node, queue: "granted", mode: 0 })),
    );
    // seq_file prints the page up to its NUL: 4094 bytes
    const text = many.slice(0, 4094) + record("next", 0, [HELD]);
    for (const size of [text.length, 1, 4094]) {
      const [cut, next, ...more] = parse(text, size);
      assert.deepEqual(
        [cut?.printed, cut?.truncated, next?.printed, next?.truncated, more],
        ["many", true, "next", false, []],
      );
      assert.ok(cut && cut.locks.length > 60 && cut.locks.length < 130, `${cut?.locks.length}`);
    }
    const [last] = parse(many.slice(0, 4094), 100);
    assert.deepEqual([last?.truncated, last?.printed], [true, "many"]);
  });

  it("cut after a whole line is cut all the same", () => {
    const text = record("many", 0, [HELD]).slice(0, -1) + record("next", 0, [HELD]);
    assert.deepEqual(
      parse(text, 5).map(({ printed, truncated }) => [printed, truncated]),
      [
        ["many", true],
        ["next", false],
      ],
    );
  });

  it("is not deceived by names", () => {
    const names = ["\nLRES:1,0,0,0,0,0,0,0,0,0,0", "a\nNAME:b", "NAME:", "\n", "LOCK:1,0,5,-1,0,0:1,0"];
    const text = names.map((name) => record(name, 0, [HELD])).join("");
    for (const size of [text.length, 1])
      assert.deepEqual(
        parse(text, size).map(({ printed }) => printed),
        names,
      );
  });

  it("of another format is named, and the rest is read", () => {
    const parser = new LockingStateParser();
    parser.push(record("new", 0, [HELD]).replace("LRES:1", "LRES:2") + record("a", 0, [HELD]));
    parser.push(record("b", 0, [HELD]).replace("LOCK:1", "LOCK:2"));
    parser.push(record("c", 0, [HELD]));
    const names = parser.end().map(({ printed }) => printed);
    assert.match(parser.stranger ?? "", /^NAME:new/);
    assert.ok(names.includes("a") && names.includes("c"), names.join());
  });

  it("lets go of what it has read", () => {
    const parser = new LockingStateParser("wanted");
    const piece = record("other", 0, [HELD]).repeat(100);
    for (let i = 0; i < 2000; i++) parser.push(piece);
    assert.equal(parser.satisfied, false);
    parser.push(record("wanted", 0, [HELD]));
    assert.equal(parser.satisfied, true);
    assert.deepEqual(
      parser.end().map(({ printed }) => printed),
      ["wanted"],
    );
  }).timeout(20_000);

  it("tells the pending messages, the states and an unknown master", () => {
    const text = record(
      "r",
      255,
      [
        { node: 0, queue: "waiting", requested: 5, pending: "lock" },
        { node: 0, queue: "converting", mode: 0, requested: 3, pending: "convert" },
        { node: 0, queue: "converting", mode: 0, requested: 3, pending: "cancel" },
        { node: 0, queue: "granted", mode: 3, pending: "unlock" },
      ],
      0x2 | 0x20,
    );
    const [raw] = parse(text);
    assert.ok(raw);
    const resource = assembleO2dlm(raw, 0);
    assert.deepEqual([resource.master, resource.mastered, resource.recovering], [undefined, false, true]);
    assert.deepEqual(resource.o2dlm?.states, ["recovering", "migrating"]);
    assert.deepEqual(
      [...resource.waiting, ...resource.converting, ...resource.granted].map(({ awaits }) => awaits),
      ["request", "convert", "cancel", "unlock"],
    );
  });
});

describe("names that o2dlm prints", () => {
  it("are as they are, but for those that begin with N", () => {
    assert.equal(printName("plain"), "plain");
    assert.equal(printName("Nshort"), "Nshort00000000");
    assert.equal(printName("Nabcdefghijklmnopqrstuvwxyz0123"), "Nabcdefghijklmnop76777879");
    assert.equal(printName("Nabcdefghijklmnopqrstuv"), "Nabcdefghijklmnop76000000");
  });

  it("come back as far as they were printed", () => {
    for (const name of ["plain", "Nshort", "N", "Nabcdefghijklmno"]) {
      assert.deepEqual(readPrinted(printName(name)), { name, complete: true });
    }
    assert.deepEqual(readPrinted(printName("Nabcdefghijklmnop")), { name: "Nabcdefghijklmnop", complete: false });
  });
});

describe("o2dlm's dlm_state", () => {
  const STATE = dumpText("o2cb-6.1/n1_dlm_state");

  it("tells a recovery, who leads it and how far it is", () => {
    const state = parseDlmState(
      STATE.replace("Dead Node: 255", "Dead Node: 1")
        .replace("Master: 255  State: INACTIVE", "Master: 0  State: ACTIVE")
        .replace("Recovery Map: ", "Recovery Map: 1 3 ")
        .replace("Recovery Node State:\n", "Recovery Node State:\n\t0 - DONE\n\t2 - FINALIZE-SENT\n"),
    );
    assert.deepEqual(state?.recovery, {
      active: true,
      deadNode: 1,
      master: 0,
      pending: [1, 3],
      nodes: [
        { node: 0, state: "DONE" },
        { node: 2, state: "FINALIZE-SENT" },
      ],
    });
  });

  it("of a domain whose name looks like more of it is read all the same", () => {
    const state = parseDlmState(STATE.replace("Domain: d ", "Domain: Protocol: 9.9  Key "));
    assert.deepEqual([state?.node, state?.protocol], [0, "1.3"]);
  });

  it("is said to be unknown when it is", () => {
    assert.equal(parseDlmState("something else\n"), undefined);
  });
});
