// clusterlock's own turns on ocfs2_dlmfs; see bench/peers/turns.h.
import { once } from "node:events";
import { createRequire } from "node:module";
import os from "node:os";
import { createInterface } from "node:readline";

const { Domain } = createRequire(import.meta.url)("../../dist/dlmfs");

const NAME = "bench-000";
const [mount, domainName] = process.argv.slice(2);
const domain = await Domain.open(domainName, { create: true, mount });

let stop;
const stopped = () => new Promise((resolve) => (stop = () => resolve(false)));

/** Keeps the lock until it is asked for, or until then. */
async function pass(orUntil) {
  let told;
  const asked = new Promise((resolve) => (told = () => resolve(true)));
  const lock = await domain.lock(NAME, { onBlocking: told });
  const goOn = await Promise.race([asked, ...orUntil]);
  await lock.release();
  return goOn;
}

const workloads = {
  async pair(count) {
    for (let i = 0; i < count; i++) {
      const lock = await domain.lock(NAME);
      await lock.release();
    }
  },
  async pass(count) {
    for (let i = 0; i < count; i++) await pass([]);
  },
  async keep() {
    const end = [stopped()];
    while (await pass(end));
  },
};

async function turn(line) {
  const [workload, , count] = line.split(" ");
  const start = performance.now();
  await workloads[workload](Number(count));
  return ((performance.now() - start) / 1000).toFixed(9);
}

function facts() {
  return JSON.stringify({ kernel: os.release(), node: process.version, cpus: os.availableParallelism() });
}

// the first request of a node is a new one, and all others are conversions
await workloads.pair(1);
process.stdout.write("ready\n");
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  if (line === "stop") return stop();
  process.stdout.write(`${await (line === "facts" ? facts() : turn(line))}\n`);
});
await once(lines, "close");
await domain.close();
