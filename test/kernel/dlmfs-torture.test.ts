// What ocfs2-test's lvb_torture does, and what it does not: processes that contend freely.

import assert from "node:assert/strict";
import path from "node:path";
import { text } from "node:stream/consumers";

import type { NodeProcess } from "../../lib/lab";

import { rounds } from "../rounds";
import { seed } from "./support/seed";
import { Suite } from "./support/suite";

const PROGRAMS = path.join(__dirname, "programs");

/** Starts programs of ours, as [node, name, ...arguments]; what each printed when all have succeeded, or the first failure. */
async function all(suite: Suite, programs: readonly (readonly [number, ...string[]])[]): Promise<string[]> {
  const running = programs.map(([node, name = "", ...args]) =>
    suite.cluster.exec(node, [process.execPath, path.join(PROGRAMS, name), ...args]),
  );
  try {
    return await Promise.all(running.map((program, index) => result(program, `n${programs[index]![0]}`)));
  } finally {
    for (const program of running) program.kill("SIGKILL");
  }
}

async function result(program: NodeProcess, who: string): Promise<string> {
  const [printed, complaint, status] = await Promise.all([text(program.stdout), text(program.stderr), program.exit]);
  // who ends because another did says less than that one
  if (complaint.includes("another process has left")) await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.deepEqual([status.code, complaint], [0, ""], `${who}: ${complaint}`);
  return printed;
}

for (const stack of ["o2cb", "dlmfs-dlm"] as const) {
  describe(`torture of ocfs2_dlmfs, two nodes of stack ${stack}`, function () {
    this.timeout(300_000);
    const DOMAIN = "torture";
    const suite = Suite.on(2, stack, async ({ cluster }) => {
      for (const node of cluster.nodes) {
        await suite.shell(node).call(async ({ domain }) => {
          for (const name of await domain.names()) await domain.drop(name);
          await domain.leave();
        });
      }
    });

    beforeEach(async () => {
      // one after the other: a recovery that is cut short is logged as an error
      for (const node of suite.cluster.nodes) {
        await suite.shell(node).call(async (there, name) => {
          there.domain = await there.Domain.open(name, { create: true, allowClusterNameWorkaround: true });
        }, DOMAIN);
      }
    });

    it("the classic schedule: each reader and each writer finds what the one before it wrote", async () => {
      const iterations = rounds(20_000, 2000);
      const args = ["dlmfs-classic.cjs", DOMAIN, "classic", String(iterations)];
      const [printed = ""] = await all(suite, [
        [1, ...args],
        [2, ...args],
      ]);
      const { iterations: done, ms } = JSON.parse(printed) as { iterations: number; ms: number };
      assert.equal(done, iterations);
      console.log(`      ${(ms / done).toFixed(1)} ms for an iteration`);
    });

    /** Two processes on each node count: how far they came, what they lost, and how many were inside at most. */
    const count = async (turns: number, exclusion: string): Promise<{ total: number; lost: number; most: number }> => {
      await suite.shell(1).call((there) => there.domain.withLock("counter", {}, (l) => l.writeLvb(Buffer.alloc(64))));
      const witness = suite.cluster.exec(1, [process.execPath, path.join(PROGRAMS, "occupancy.cjs")]);
      let seen = "";
      witness.stdout.on("data", (chunk: Buffer) => (seen += chunk.toString()));
      await new Promise((resolve) => witness.stdout.once("data", resolve));
      const start = seed();
      let losses: string[];
      try {
        losses = await all(
          suite,
          [1, 2, 1, 2].map((node, index) => {
            const args = [DOMAIN, "counter", String(turns), String(start + index), exclusion];
            return [node, "dlmfs-counters.cjs", ...args];
          }),
        );
      } finally {
        witness.stdin.end();
        await witness.exit;
      }
      const { entries, most } = JSON.parse(seen.split("\n")[1] ?? "") as { entries: number; most: number };
      assert.equal(entries, 4 * turns);
      const total = await suite
        .shell(2)
        .call(async (there) =>
          there.domain.withLock("counter", { mode: "PR" }, async (lock) =>
            Number(Buffer.from(await lock.readLvb()).readBigUInt64BE()),
          ),
        );
      return { total, lost: losses.reduce((sum, lost) => sum + Number(lost), 0), most };
    };

    it("two processes on each of two nodes count without losing one, and no two hold at once", async () => {
      const turns = rounds(1000, 100);
      assert.deepEqual(await count(turns, "node"), { total: 4 * turns, lost: 0, most: 1 });
    });

    it("the witness sees two that hold at once where nothing keeps the processes of a node apart", async () => {
      const { most } = await count(100, "none");
      assert.ok(most > 1);
    });
  });
}
