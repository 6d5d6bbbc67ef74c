import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";

const ROOT = path.resolve(__dirname, "../../..");

function dev(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = path.join(ROOT, "lib/cli/main.ts");
  const argv = ["--import", "tsx", main, "dev", ...args];
  return spawnSync(process.execPath, argv, { cwd: ROOT, encoding: "utf8" });
}

describe("the command line of clusterlock dev", function () {
  this.timeout(30_000);

  it("says in its help what it is not", () => {
    const { status, stdout } = dev("--help");
    assert.equal(status, 0);
    assert.match(stdout, /for development and tests only: it fences nobody/);
  });

  it("refuses what it does not know with 64", () => {
    for (const words of [[], ["sideways"], ["up", "now"], ["up", "--json"]]) {
      const { status, stderr } = dev(...words);
      assert.equal(status, 64);
      assert.match(stderr, /^clusterlock dev: .*; see clusterlock dev --help\n$/);
    }
  });
});
