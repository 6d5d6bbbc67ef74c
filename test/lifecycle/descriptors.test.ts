import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";

import { DOUBLE_PATH } from "../native/double";

describe("a process that runs out of descriptors", () => {
  it("gets EMFILE from open(), never a blocked event loop or a handle left open", () => {
    const program = path.join(__dirname, "programs/fds.cjs");
    const script = `ulimit -n 64; exec "$0" "$@"`;
    const args = ["-c", script, process.execPath, program, DOUBLE_PATH];
    const { status, stdout, stderr } = spawnSync("sh", args, { encoding: "utf8", timeout: 20_000 });
    assert.equal(status, 0, stderr);
    const { worst, said, handles } = JSON.parse(stdout) as { worst: number; said: string[]; handles: number };
    assert.ok(said.includes("opened"), said.join());
    assert.ok(
      said.every((word) => word === "opened" || word.startsWith("EMFILE ")),
      said.join(),
    );
    assert.ok(
      ["EMFILE open", "EMFILE eventfd", "EMFILE socket"].every((word) => said.includes(word)),
      said.join(),
    );
    assert.ok(worst < 1000, `a 10 ms timer was ${worst.toFixed(0)} ms late`);
    assert.equal(handles, 0);
  });
});
