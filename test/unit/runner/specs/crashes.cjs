/* global it */
it("ends the process", () => process.kill(process.pid, "SIGKILL"));
