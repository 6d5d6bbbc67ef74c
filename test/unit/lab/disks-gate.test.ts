import assert from "node:assert/strict";

import { Gate } from "../../../lib/lab/qemu/disks/gate";

describe("lab: reads and changes of the same bytes", () => {
  let gate: Gate;
  let begun: string[];
  let finish: Map<string, () => void>;

  beforeEach(() => {
    gate = new Gate();
    begun = [];
    finish = new Map();
  });

  const action = (name: string) => async (): Promise<void> => {
    begun.push(name);
    await new Promise<void>((resolve) => finish.set(name, resolve));
  };
  const quiet = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
  };

  it("wait for each other, and nothing else does", async () => {
    const work = [gate.read(0, 10, action("read")), gate.change(5, 10, action("change"))];
    await quiet();
    assert.deepEqual(begun, ["read"]);
    work.push(gate.read(9, 1, action("late")), gate.read(15, 5, action("beside")), gate.read(0, 5, action("before")));
    await quiet();
    assert.deepEqual(begun, ["read", "beside", "before"]);
    finish.get("read")?.();
    await quiet();
    assert.deepEqual(begun, ["read", "beside", "before", "change"]);
    finish.get("change")?.();
    await quiet();
    assert.deepEqual(begun, ["read", "beside", "before", "change", "late"]);
    for (const end of finish.values()) end();
    await Promise.all(work);
  });

  it("go on when one fails", async () => {
    const fail = async (): Promise<void> => {
      await quiet();
      throw new Error("broken");
    };
    const work = [gate.change(0, 10, fail), gate.read(0, 10, fail)];
    for (const result of await Promise.allSettled(work)) assert.equal(result.status, "rejected");
    const next = gate.change(0, 10, action("change"));
    await quiet();
    finish.get("change")?.();
    await next;
  });
});
