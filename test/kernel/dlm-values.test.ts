import assert from "node:assert/strict";
import path from "node:path";

import type * as dlm from "../../lib/dlm";

import { Suite } from "./support/suite";

const LS = "values";
const DLM = path.resolve(__dirname, "../../dist/dlm");

// What a codec makes of the kernel's real value blocks, whatever becomes of them.
describe("typed value blocks on one node", function () {
  this.timeout(120_000);
  const suite = Suite.on(1, "dlm");

  it("tell never written, written, flagged, foreign and lost from each other", async () => {
    const seen = await suite.shell(1).call(
      async (node, name, library) => {
        const { decodeLvb, lvbCounter } = node as unknown as typeof dlm;
        const counter = lvbCounter();
        const ls = await node.Lockspace.open(name, { create: true });
        const out: string[] = [];
        const read = async (what: string, resource: string): Promise<void> => {
          const lock = await ls.lock(resource, { mode: "PR", lvb: true, signal: AbortSignal.timeout(20_000) });
          const reading = decodeLvb(counter, lock);
          await lock.release();
          const { state, last } = { last: reading, ...reading };
          out.push(`${what}: ${state === "invalid" ? "invalid, " : ""}${"value" in last ? last.value : last.state}`);
        };

        const keeper = await ls.lock("n", { mode: "NL", lvb: true });
        const idleKeeper = await ls.lock("idle", { mode: "NL", lvb: true });
        await read("never written", "n");
        await (await ls.lock("n", { lvb: counter.encode(7n) })).release();
        await read("written", "n");

        // a process that holds EX with no interest in the values is killed
        const program = `
          const { Lockspace } = require(${JSON.stringify(library)});
          (async () => {
            const ls = await Lockspace.open(${JSON.stringify(name)});
            await ls.lock("n");
            await ls.lock("idle");
            process.send("held");
          })();`;
        const holder = node.childProcess.spawn(process.execPath, ["-e", program], {
          stdio: ["ignore", "ignore", "inherit", "ipc"],
        });
        await new Promise((resolve) => holder.once("message", resolve));
        holder.kill("SIGKILL");
        await read("its holder died", "n");
        await read("never written, its holder died", "idle");

        await (await ls.lock("n", { lvb: counter.encode(counter.next(7n)) })).release();
        await read("written again", "n");
        await (await ls.lock("n", { lvb: Buffer.from("8") })).release();
        await read("written by others", "n");
        await keeper.release();
        await read("the last lock gone", "n");
        await idleKeeper.release();
        await ls.close();
        await node.Lockspace.remove(name);
        return out;
      },
      LS,
      DLM,
    );
    assert.deepEqual(seen, [
      "never written: empty",
      "written: 7",
      "its holder died: invalid, 7",
      "never written, its holder died: empty",
      "written again: 8",
      "written by others: foreign",
      "the last lock gone: empty",
    ]);
  });
});
