/* global describe, it */
describe("a group", () => {
  it("fails", () => {
    throw new Error("on purpose");
  });
  it("hangs", () => new Promise(() => setInterval(() => undefined, 1000))).timeout(0);
});
