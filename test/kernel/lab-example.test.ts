// examples/partition, as its reader would run it: once to see it hold, once to see it notice.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";

/** Booted instead of the host's, when set: a directory with an unpacked kernel package. */
const KERNEL = process.env.CLUSTERLOCK_TEST_KERNEL;
const EXAMPLE = path.resolve(__dirname, "../../examples/partition/partition.mjs");

describe("examples/partition", function () {
  this.timeout(300_000);
  let temp: string;

  beforeEach(() => {
    temp = mkdtempSync("/tmp/clt-");
  });
  afterEach(() => {
    rmSync(temp, { recursive: true });
  });

  /** Its files, and the lab's, go to a directory of this test. */
  async function run(...args: string[]): Promise<{ code: number; story: string }> {
    const child = spawn(process.execPath, [EXAMPLE, ...(KERNEL ? ["--kernel", KERNEL] : []), ...args], {
      env: { ...process.env, TMPDIR: temp },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 240_000,
    });
    const ended = new Promise<number>((resolve) =>
      child.once("close", (code) => {
        resolve(code ?? -1);
      }),
    );
    const story = await text(child.stdout);
    return { code: await ended, story };
  }

  it("never has two leaders at once, and the fenced node comes back to lead", async () => {
    const { code, story } = await run();
    assert.equal(code, 0, story);
    assert.equal(story.match(/ s {2}ok /g)?.length, 5, story);
    assert.doesNotMatch(story, /FAIL/, story);
    assert.match(story, /n2 was fenced by n1/, story);
    assert.match(story, /never two leaders at once: \d+ deeds, by n2, n1, n2 in turn/, story);
    assert.deepEqual(readdirSync(temp), []);
  });

  it("notices two leaders when there is no fencing, and keeps what the nodes logged", async () => {
    const { code, story } = await run("--fencing", "off");
    assert.equal(code, 1, story);
    assert.match(story, /FAIL {2}node 2 is up\n/, story);
    assert.match(story, /FAIL {2}two leaders at once: n2 still works while n1 leads/, story);
    const [kept = "", ...others] = readdirSync(temp);
    assert.deepEqual(others, []);
    for (const name of ["journal", "n1.system.log", "n2.console.log"]) {
      assert.ok(existsSync(path.join(temp, kept, name)), name);
    }
  });
});
