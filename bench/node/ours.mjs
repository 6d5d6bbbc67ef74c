// clusterlock's own turns; see bench/peers/turns.h. `hold` in place of a turn keeps the resources in NL, so that
// whichever node asked first stays their master.
import { once } from "node:events";
import { createRequire } from "node:module";
import os from "node:os";
import { createInterface } from "node:readline";

const { Lockspace } = createRequire(import.meta.url)("../../dist/dlm");

const MAX_DEPTH = 64;
const names = Array.from({ length: MAX_DEPTH }, (_, index) => `bench-${String(index).padStart(3, "0")}`);

const ls = await Lockspace.open(process.argv[2], { create: true });

async function pairs(depth, count) {
  let left = count;
  const chain = async (name) => {
    while (left-- > 0) {
      const lock = await ls.lock(name);
      await lock.release();
    }
  };
  await Promise.all(names.slice(0, depth).map(chain));
}

async function converts(count) {
  const lock = await ls.lock(names[0], { mode: "NL" });
  for (let i = 0; i < count; i++) {
    await lock.convert("EX");
    await lock.convert("NL");
  }
  await lock.release();
}

async function turn(line) {
  const [workload, depth, count] = line.split(" ");
  const start = performance.now();
  if (workload === "convert") await converts(Number(count));
  else await pairs(Number(depth), Number(count));
  return ((performance.now() - start) / 1000).toFixed(9);
}

async function hold() {
  for (const name of names) await ls.lock(name, { mode: "NL" });
  return "held";
}

function facts() {
  return JSON.stringify({ kernel: os.release(), node: process.version, cpus: os.availableParallelism() });
}

const answers = { hold, facts };
process.stdout.write("ready\n");
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  process.stdout.write(`${await (answers[line]?.() ?? turn(line))}\n`);
});
await once(lines, "close");
await ls.close();
