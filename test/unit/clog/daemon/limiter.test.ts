import assert from "node:assert/strict";

import { Limiter } from "../../../../lib/clog/daemon/limiter";

describe("the limiter of messages", () => {
  it("lets ten of a kind through in a minute, and tells how many more there were", () => {
    let now = 0;
    const limiter = new Limiter(() => now);
    const said = Array.from({ length: 25 }, () => limiter.admit("flood")).filter(({ say }) => say);
    assert.equal(said.length, 10);
    assert.deepEqual(limiter.admit("another"), { say: true, unsaid: 0 });
    now = 60_000;
    assert.deepEqual(limiter.admit("flood"), { say: true, unsaid: 15 });
    assert.deepEqual(limiter.admit("flood"), { say: true, unsaid: 0 });
  });
});
