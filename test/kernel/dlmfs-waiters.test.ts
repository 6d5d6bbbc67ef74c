// Many requests that wait in one process.

import assert from "node:assert/strict";
import path from "node:path";

import { Suite } from "./support/suite";

const PROGRAM = path.join(__dirname, "programs/dlmfs-waiters.cjs");
const COUNT = 500;
/** Emulated processors share the host's with other work: what took longer was not merely slow. */
const STALLED_MS = 2000;

interface Report {
  readonly bytes: Readonly<Record<"node" | "opener" | "kernelStacks", number>>;
  readonly ms: Readonly<Record<"asked" | "service" | "settled", number>>;
  readonly loop: Readonly<Record<"ticks" | "longest" | "of", number>>;
  readonly outcomes: Readonly<Record<"grantedBefore" | "granted" | "givenUp", number>>;
  readonly left: Readonly<Record<"threads" | "descriptors", number>>;
}

describe("500 requests of one process for locks of ocfs2_dlmfs", function () {
  this.timeout(240_000);
  const suite = Suite.on(1, "o2cb");

  before(async () => {
    const made = await suite.run(1, "sh", "-c", "mkdir -p /dlm2 && mount -t ocfs2_dlmfs none /dlm2");
    assert.equal(made.code, 0, made.stderr);
  });
  after(async () => {
    // it is empty: a mount with lock files must not be taken away
    const { code, stderr } = await suite.run(1, "sh", "-c", "rmdir /dlm2/* 2>/dev/null; umount /dlm2 && rmdir /dlm2");
    assert.equal(code, 0, stderr);
  });

  for (const [what, names] of [
    ["500 locks", COUNT],
    ["one lock", 1],
  ] as const) {
    it(`wait for ${what} and keep neither the loop nor libuv's threads; none is lost, nothing is left`, async () => {
      const args = ["--expose-gc", PROGRAM, "/dlm", "/dlm2", "waiters", String(names), String(COUNT)];
      const { code, stdout, stderr } = await suite.run(1, process.execPath, ...args);
      assert.deepEqual([code, stderr], [0, ""]);
      const { bytes, ms, loop, outcomes, left } = JSON.parse(stdout) as Report;
      const memory = `bytes for each: ${bytes.node} in Node, ${bytes.opener} in the opener, ${bytes.kernelStacks} of stacks in the kernel`;
      console.log(`      ${memory}; asked in ${ms.asked} ms, all over in ${ms.settled} ms`);
      console.log(
        `      ${loop.ticks} of ${loop.of} ticks, the longest after ${loop.longest} ms; served in ${ms.service} ms`,
      );
      assert.deepEqual(outcomes, { grantedBefore: 0, granted: COUNT / 2, givenUp: COUNT / 2 });
      assert.deepEqual(left, { threads: 0, descriptors: 0 });
      assert.ok(loop.longest < STALLED_MS, `${loop.longest} ms`);
      assert.ok(ms.service < STALLED_MS, `${ms.service} ms`);
    });
  }
});
