import assert from "node:assert/strict";
import path from "node:path";

import { Suite } from "./support/suite";

const EXAMPLE = path.resolve(__dirname, "../../examples/handoff/handoff.mjs");

describe("examples/handoff", function () {
  this.timeout(120_000);
  const suite = Suite.on(2, "dlm");

  it("every step of the story holds on both nodes", async () => {
    const runs = await Promise.all([1, 2].map((n) => suite.run(n, process.execPath, EXAMPLE)));
    const [first = "", second = ""] = runs.map(({ stdout }) => stdout);
    // a step that fails on one node is often explained by the other
    const stories = runs
      .map(({ code, stdout, stderr }, i) => `node ${i + 1} ended with ${code ?? "a signal"}\n${stdout}${stderr}`)
      .join("\n");
    for (const { code, stderr } of runs) assert.deepEqual([code, stderr], [0, ""], stories);
    assert.equal(first.match(/^ok /gm)?.length, 5, stories);
    assert.equal(second.match(/^ok /gm)?.length, 4, stories);
    assert.doesNotMatch(first + second, /FAIL/, stories);
    assert.match(first, /blocking notice: somebody wants EX/, stories);
    assert.match(second, /the value block says '100 coins'/, stories);
    assert.match(second, /told that the value is not valid/, stories);
  });
});
