import assert from "node:assert/strict";

import { unfair } from "../../model/burst";
import type { Command } from "../../model/commands";
import { compareResource } from "../../model/divergence";
import { DlmModel } from "../../model/dlm-model";
import { parseDump } from "../../model/dump";
import { reduce } from "../../model/reduce";
import { IV, PW } from "../../model/tables";

// Slots 0, 1 and 2 are of handles 0, 1 and 2 and of one resource.
describe("the model of the API", () => {
  function run(...commands: Command[]): { model: DlmModel; outcomes: (string | undefined)[] } {
    const model = new DlmModel(["a", "b"]);
    const outcomes = commands.map((command) => model.apply(command)?.outcomes.join(", "));
    return { model, outcomes };
  }

  it("says how promises settle", () => {
    const { outcomes } = run(
      { do: "lock", slot: 0, mode: "PR" },
      { do: "lock", slot: 1, mode: "EX" },
      { do: "lock", slot: 2, mode: "EX", try: true },
      { do: "release", slot: 1 },
      { do: "abort", slot: 1 },
      { do: "lock", slot: 1, mode: "PR" },
      { do: "convert", slot: 0, mode: "EX" },
      { do: "convert", slot: 1, mode: "EX" },
      { do: "release", slot: 0 },
      { do: "close", handle: 1 },
    );
    assert.deepEqual(outcomes, [
      "0 granted",
      "",
      "2 busy",
      undefined,
      "1 gave up",
      "1 granted",
      "",
      "1 convert EDEADLK",
      "0 convert released, 0 released",
      "handle 1 closed",
    ]);
  });

  it("lets a close pass on what its handle held, in good order and not", () => {
    for (const [how, valid] of [
      ["close", true],
      ["drop", false],
    ] as const) {
      const { model, outcomes } = run(
        { do: "lock", slot: 0, mode: "EX", lvb: 7 },
        { do: "lock", slot: 1, mode: "EX", lvb: "read" },
        { do: "lock", slot: 6, mode: "PR" },
        { do: "lock", slot: 2, mode: "NL" },
        { do: how, handle: 0 },
      );
      assert.match(
        outcomes.at(-1) ?? "",
        how === "close" ? /6 closed.*1 granted/ : /^1 granted, 2 granted, handle 0 dropped/,
      );
      const { value } = model.slots[1]!;
      // without a value, a flag has nothing to speak of
      assert.deepEqual([value.bytes?.[0], value.valid], valid ? [7, true] : [0, true]);
      assert.equal(model.resources[0]?.invalid, !valid);
    }
  });

  it("says which notices are due, and which may come", () => {
    const model = new DlmModel(["a", "b"]);
    model.apply({ do: "lock", slot: 0, mode: "PW", listen: true });
    const first = model.apply({ do: "lock", slot: 1, mode: "PW" })!.notices[0]!;
    assert.deepEqual([first.due, [...first.allowed]], [PW, [PW]]);
    const second = model.apply({ do: "lock", slot: 2, mode: "CW" })!.notices[0]!;
    assert.equal(second.due, IV);
  });
});

const DUMP = `rsb ptr nodeid first_lkid flags !root_list_empty !recover_list_empty recover_locks_count len
rsb 00000000e7b6d7a5 0 0 2 0 0 0 1 str a
lvb 3 4 07 00 00 00
lkb 2 0 0 1234 0 8 10000 2 0 -1 0 0 0 1 5 0
lkb 1a 0 0 1234 0 0 10000 3 3 5 0 0 0 0 5 0
lkb 3 0 0 1234 0 0 10000 1 -1 5 0 0 0 0 5 0
`;

describe("what compares model and kernel", () => {
  it("reads the kernel's dump", () => {
    assert.deepEqual(parseDump(DUMP).get("a"), {
      name: "a",
      invalid: true,
      value: "07000000",
      granted: [{ id: 2, granted: 0, requested: -1 }],
      converting: [{ id: 0x1a, granted: 3, requested: 5 }],
      waiting: [{ id: 3, granted: -1, requested: 5 }],
    });
  });

  it("sees a lock that is not where it should be", () => {
    const model = new DlmModel(["a", "b"]);
    model.apply({ do: "lock", slot: 0, mode: "NL" });
    const [resource] = model.resources;
    assert.match(
      compareResource(resource!, parseDump(DUMP).get("a")).join(),
      /converting: model \[\], kernel \[1a PR>EX\]/,
    );
  });

  it("sees what no order of events excuses", () => {
    const nothing = { name: "a", invalid: false, value: undefined, granted: [], converting: [], waiting: [] };
    assert.deepEqual(unfair(nothing), []);
    const ex = { id: 1, granted: 5, requested: -1 };
    assert.match(unfair({ ...nothing, granted: [ex, { ...ex, id: 2 }] }).join(), /granted at once: EX>-- and EX>--/);
    assert.match(unfair({ ...nothing, waiting: [{ id: 1, granted: -1, requested: 3 }] }).join(), /waits for nothing/);
    const up = { id: 1, granted: 3, requested: 5 };
    assert.match(unfair({ ...nothing, converting: [up, { ...up, id: 2 }] }).join(), /in a conversion deadlock/);
  });

  it("finds the few commands that fail, and what they can do without", async () => {
    const long = Array.from({ length: 200 }, (_, at) => ({ at, lvb: 1 }));
    const fails = (some: readonly { at: number }[]): Promise<boolean> =>
      Promise.resolve([17, 130].every((wanted) => some.some(({ at }) => at === wanted)));
    const found = await reduce(long, fails, () => false);
    assert.deepEqual(
      found.map(({ at, lvb }) => [at, lvb]),
      [
        [17, undefined],
        [130, undefined],
      ],
    );
  });
});
