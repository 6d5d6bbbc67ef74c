// Takes one lock again and again, and writes down when it held it: {"node", "granted"} as soon as it is granted, {"node",
// "released"} just before it gives it back. What is on file is on this machine's disk, whatever becomes of the node.
const { appendFileSync } = require("node:fs");
const path = require("node:path");

const { Lockspace } = require("../../../dist/dlm");

const [name, holdMs = "60"] = process.argv.slice(2);
const node = Number(process.env.CLUSTERLOCK_NODE);
const file = path.join(process.env.CLUSTERLOCK_OUT, `${name}.${node}.jsonl`);
const write = (word) => appendFileSync(file, `${JSON.stringify({ node, ...word })}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

process.once("SIGTERM", () => process.exit(0));

(async () => {
  const ls = await Lockspace.open(name, { create: true });
  console.log("joined");
  for (;;) {
    const lock = await ls.lock("the lock");
    write({ granted: Date.now() });
    await sleep(Number(holdMs));
    write({ released: Date.now() });
    await lock.release();
    await sleep(5);
  }
})();
