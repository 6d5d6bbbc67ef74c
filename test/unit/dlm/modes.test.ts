import assert from "node:assert/strict";

import { LOCK_MODES, compatible, isDownConversion } from "../../../lib/modes";
import { lvbDirection, unlockWrites } from "../../../lib/dlm/lvb";

describe("lock modes", () => {
  it("are compatible as the kernel's matrix says, in both directions", () => {
    const pairs = LOCK_MODES.flatMap((a) => LOCK_MODES.filter((b) => compatible(a, b)).map((b) => `${a}-${b}`));
    assert.deepEqual(pairs, [
      ...["NL-NL", "NL-CR", "NL-CW", "NL-PR", "NL-PW", "NL-EX"],
      ...["CR-NL", "CR-CR", "CR-CW", "CR-PR", "CR-PW"],
      ...["CW-NL", "CW-CR", "CW-CW"],
      ...["PR-NL", "PR-CR", "PR-PR"],
      ...["PW-NL", "PW-CR"],
      ...["EX-NL"],
    ]);
    for (const a of LOCK_MODES) for (const b of LOCK_MODES) assert.equal(compatible(a, b), compatible(b, a));
  });

  it("go down without waiting only when the new mode lets in all that the old one did", () => {
    assert.ok(isDownConversion("EX", "PR"));
    assert.ok(isDownConversion("EX", "EX"));
    assert.ok(isDownConversion("PW", "CW"));
    assert.ok(!isDownConversion("PR", "CW"));
    assert.ok(!isDownConversion("CW", "PR"));
    assert.ok(!isDownConversion("NL", "CR"));
  });
});

describe("value block directions", () => {
  it("follow the kernel's dlm_lvb_operations", () => {
    const rows = [undefined, ...LOCK_MODES].map((from) => LOCK_MODES.map((to) => lvbDirection(from, to)[0]).join(""));
    assert.deepEqual(rows, ["rrrrrr", "rrrrrr", "nrrrrr", "nnrrrr", "nnnrrr", "wwwwwr", "wwwwww"]);
  });

  it("an unlock writes from PW and EX only", () => {
    assert.deepEqual(LOCK_MODES.filter(unlockWrites), ["PW", "EX"]);
  });
});
