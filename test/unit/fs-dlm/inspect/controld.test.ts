import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import {
  COMMAND,
  LOCKSPACE_SIZE,
  NODE_SIZE,
  decodeList,
  decodeLockspace,
  decodeNode,
  decodeStates,
  encodeQuery,
} from "../../../../lib/fs-dlm/inspect/controld/layout";
import { decodeRecoverStatus } from "../../../../lib/fs-dlm/inspect/lockspaces";

import { dumpPath } from "./support";

const REPLIES = JSON.parse(readFileSync(dumpPath("controld-4.2.json"), "utf8")) as Record<string, string>;
const reply = (name: string): Buffer => Buffer.from(REPLIES[name]!, "hex");

// What dlm_controld 4.2.0 answered in the lab.
describe("dlm_controld's answers", () => {
  it("list lockspaces with their changes", () => {
    const { result, items } = decodeList(reply("lss"), LOCKSPACE_SIZE);
    assert.equal(result, 1);
    const { flags, ...cap } = decodeLockspace(items[0]!);
    const change = { members: 2, joined: 1, removed: 0, failed: 0, seq: 2, combinedSeq: 2 };
    assert.deepEqual(cap, { name: "cap", globalId: 0x9cf8e03b, change, nextChange: undefined });
    assert.ok(Object.values(flags).every((flag) => !flag));
  });

  it("tell what a change under way waits for", () => {
    const bytes = Buffer.alloc(LOCKSPACE_SIZE);
    bytes.write("x".repeat(64), 72);
    bytes.writeUInt32LE(0x05, 64);
    bytes.writeInt32LE(3, 32 + 16);
    bytes.writeUInt32LE(7, 32 + 24);
    const waiting = decodeLockspace(bytes);
    assert.equal(waiting.name, "x".repeat(64));
    assert.deepEqual([waiting.flags.joining, waiting.flags.kernelStopped, waiting.flags.leaving], [true, true, false]);
    assert.deepEqual([waiting.nextChange?.waitsFor, waiting.nextChange?.messages], ["fencing", undefined]);
    bytes.writeInt32LE(1, 32 + 20);
    assert.deepEqual(
      [decodeLockspace(bytes).nextChange?.waitsFor, decodeLockspace(bytes).nextChange?.messages],
      ["messages", 3],
    );
  });

  it("list nodes", () => {
    const { items } = decodeList(reply("mem"), NODE_SIZE);
    assert.deepEqual(
      items.map(decodeNode).map(({ node, member, started, addedSeq }) => [node, member, started, addedSeq]),
      [
        [1, true, true, 1],
        [2, true, true, 2],
      ],
    );
  });

  it("say that a list is longer, or about nothing", () => {
    assert.equal(decodeList(reply("big"), NODE_SIZE).result, -7);
    assert.equal(decodeList(reply("none"), NODE_SIZE).result, -2);
  });

  it("give the states of the daemon and of nodes", () => {
    const states = decodeStates(reply("status"));
    assert.deepEqual(
      states.map(({ type, node }) => [type, node]),
      [
        ["daemon", 1],
        ["node", 1],
        ["node", 2],
      ],
    );
    assert.equal(states[0]?.values.get("quorate"), "1");
    assert.equal(states[1]?.values.get("left_reason"), "unknown");
  });

  it("of another make are refused", () => {
    const other = reply("mem");
    other.writeUInt32LE(0x00020001, 4);
    for (const wrong of [Buffer.alloc(0), other, reply("mem").subarray(0, 120)]) {
      assert.throws(() => decodeList(wrong, NODE_SIZE), { code: "ERR_CONTROLD_PROTOCOL" });
    }
    assert.throws(() => decodeStates(reply("status").subarray(0, 100)), { code: "ERR_CONTROLD_PROTOCOL" });
    assert.throws(() => decodeStates(Buffer.alloc(0)), { code: "ERR_CONTROLD_PROTOCOL" });
  });

  it("answer questions of the layout that it has itself", () => {
    const query = encodeQuery({ command: COMMAND.lockspaceNodes, name: "cap", option: 2, data: 64 });
    assert.deepEqual(query.subarray(0, 12), reply("mem").subarray(0, 12));
    assert.deepEqual(query.subarray(32), reply("mem").subarray(32, 96));
  });
});

describe("recover_status", () => {
  it("has a name for each bit", () => {
    const set = (raw: number): string[] =>
      Object.entries(decodeRecoverStatus(raw)).flatMap(([name, on]) => (on === true ? [name] : []));
    assert.deepEqual(set(0x55), ["nodes", "directory", "locks", "done"]);
    assert.deepEqual(set(0xaa), ["nodesAll", "directoryAll", "locksAll", "doneAll"]);
    assert.deepEqual(set(0), []);
  });
});
