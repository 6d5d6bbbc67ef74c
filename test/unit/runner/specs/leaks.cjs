/* global it */
it("leaves a handle behind", () => {
  setInterval(() => undefined, 1000);
});
