import assert from "node:assert/strict";
import path from "node:path";

import { Suite } from "./support/suite";

const LS = "prompt";
const programs = path.join(__dirname, "programs");

// What one-node.test.ts is about, held to bounds of time: nothing else is to run beside it.
describe("fs/dlm on one node, in time", function () {
  this.timeout(120_000);
  const suite = Suite.withLockspace(LS);

  it("never blocks the event loop while the lockspace is stopped", async () => {
    const { worst, early, granted } = await suite.shell(1).call(async (node, name) => {
      const { fs } = node;
      const control = `/sys/kernel/dlm/${name}/control`;
      fs.writeFileSync(control, "0");
      let done = 0;
      const requests = Array.from({ length: 100 }, (_, i) => node.ls.lock(`r${i}`).then((lock) => (done++, lock)));
      let worstDelay = 0;
      for (let i = 0; i < 150; i++) {
        const before = performance.now();
        await node.sleep(10);
        worstDelay = Math.max(worstDelay, performance.now() - before - 10);
      }
      const before = done;
      fs.writeFileSync(control, "1");
      const locks = await Promise.all(requests);
      return { worst: worstDelay, early: before, granted: locks.length };
    }, LS);
    assert.equal(early, 0, "no grant before the kernel gave it");
    assert.equal(granted, 100);
    assert.ok(worst < 250, `a 10 ms timer was ${worst.toFixed(1)} ms late`);
  });

  for (const state of ["held", "waiting", "converting"]) {
    for (const ending of ["SIGKILL", "exit", "throw", "terminate"]) {
      it(`${ending} with a lock ${state}: it is gone from the kernel within 1 s`, async () => {
        const result = await suite.shell(1).call(
          async (node, name, file, inState, how) => {
            const { fork } = node.childProcess;
            const mine = await node.ls.lock("k", { mode: "PR" });
            const before = node.kernelLocks(name).length;
            const child = fork(file, [name, inState, how], { stdio: "ignore" });
            const exited = new Promise<[number | null, string | null]>((resolve) =>
              child.once("exit", (code, signal) => {
                resolve([code, signal]);
              }),
            );
            await new Promise((resolve) => child.once("message", resolve));
            const during = node.kernelLocks(name).length;
            const start = performance.now();
            if (how === "SIGKILL") child.kill("SIGKILL");
            else child.send("end");
            await node.until("its locks are gone", () => node.kernelLocks(name).length === before);
            const took = performance.now() - start;
            const end = await exited;
            await mine.release();
            return { appeared: during - before, took, end };
          },
          LS,
          path.join(programs, "dies.cjs"),
          state,
          ending,
        );
        assert.ok(result.appeared > 0, "the lock was there");
        assert.ok(result.took < 1000, `it took ${result.took.toFixed(0)} ms`);
        const ends = { SIGKILL: [null, "SIGKILL"], exit: [7, null], throw: [1, null], terminate: [0, null] };
        assert.deepEqual(result.end, ends[ending as keyof typeof ends]);
      });
    }
  }

  it("a worker's end does not wait for a stopped lockspace; its locks go when that runs again", async () => {
    const seen = await suite.shell(1).call(
      async (node, name, file) => {
        const { fs } = node;
        const { Worker } = node.workerThreads;
        const worker = new Worker(file, { argv: [name, "held", "stay"] });
        await new Promise((resolve) => worker.once("message", resolve));
        fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "0");
        worker.postMessage("request");
        await node.sleep(300);
        const start = performance.now();
        await worker.terminate();
        const took = performance.now() - start;
        fs.writeFileSync(`/sys/kernel/dlm/${name}/control`, "1");
        await node.until("its locks are gone", () => node.kernelLocks(name).length === 0);
        return took;
      },
      LS,
      path.join(programs, "dies.cjs"),
    );
    assert.ok(seen < 1000, `terminate() took ${seen.toFixed(0)} ms`);
  });
});
