/* global describe, it */
describe("one", () => {
  it("passes", () => undefined);
  describe("within", () => {
    it("passes too", () => undefined);
  });
});
describe("two", () => {
  it("passes", () => undefined);
});
