/* global it */
it("leaves a process behind", () => {
  const { spawn } = require("node:child_process");
  spawn("sleep", ["61.25"], { stdio: "ignore" }).unref();
});
