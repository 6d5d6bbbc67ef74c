/* global after, it */
after(function () {
  this.timeout(0);
  setInterval(() => undefined, 1000);
  return new Promise(() => undefined);
});
it("passes, and its hook hangs", () => undefined);
