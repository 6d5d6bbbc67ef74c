import assert from "node:assert/strict";

import { type Hold, overlaps } from "../../kernel/support/witness";

const hold = (node: number, from: number, to: number): Hold => ({ node, from, to });

describe("the witness of double grants", () => {
  it("sees two holders at once, and who they are", () => {
    const found = overlaps([hold(1, 0, 100), hold(2, 30, 150), hold(1, 210, 300)], new Map());
    assert.deepEqual(
      found.map((pair) => pair.map(({ node }) => node)),
      [[1, 2]],
    );
  });

  it("sees every pair, in whatever order they come", () => {
    assert.equal(overlaps([hold(2, 30, 400), hold(1, 0, 100), hold(1, 120, 300)], new Map()).length, 2);
  });

  it("lets holders follow each other, clocks being what they are", () => {
    assert.deepEqual(overlaps([hold(1, 0, 100), hold(2, 60, 200), hold(1, 201, 300)], new Map()), []);
  });

  it("ends a hold that nobody saw the end of with its node's power", () => {
    const holds = [hold(1, 0, Infinity), hold(2, 500, 600)];
    assert.equal(overlaps(holds, new Map([[1, 400]])).length, 0);
    assert.equal(overlaps(holds, new Map([[1, 580]])).length, 1);
    assert.equal(overlaps(holds, new Map()).length, 1);
  });
});
