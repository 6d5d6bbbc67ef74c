/* global it */
// Holds a child that does not mind SIGTERM, and waits.
it("waits for ever", function (done) {
  this.timeout(0);
  const { spawn } = require("node:child_process");
  const script = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("deaf")';
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
  child.stdout.once("data", () => console.log(`pids ${process.pid} ${child.pid}`));
  child.once("exit", done);
});
