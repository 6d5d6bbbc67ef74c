// A test of leader.mjs, the way you would write one of your own: cut the network under it and see who leads.
//
//   node examples/partition/partition.mjs                  exits with 0: there was never more than one leader
//   node examples/partition/partition.mjs --fencing off    exits with 1: this is what it looks like when there were two
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { up } from "clusterlock/lab";

import { readJournal } from "./journal.mjs";

const PROGRAM = fileURLToPath(new URL("leader.mjs", import.meta.url));
const PATIENCE = 90_000; // milliseconds for one step: enough for an emulated machine that shares its processors
// --kernel DIR: as clusterlock lab run has it
const { values } = parseArgs({ options: { fencing: { type: "string" }, kernel: { type: "string" } } });

const began = performance.now();
function tell(text) {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}
// the lab's own words, but for the steps of each boot
const hear = (line) => /^n\d [\d.]+ s: /.test(line) || tell(`      lab: ${line}`);
let failed = 0;
function check(held, text) {
  tell(`${held ? "ok   " : "FAIL "} ${text}`);
  if (!held) failed++;
}

/** Resolves as `promise` does; rejects when that takes too long. */
async function soon(what, promise) {
  const late = new AbortController();
  const limit = sleep(PATIENCE, undefined, { signal: late.signal }).then(() => {
    throw new Error(`waited ${PATIENCE / 1000} s for ${what} in vain`);
  });
  limit.catch(() => undefined);
  return Promise.race([promise, limit]).finally(() => late.abort());
}

/** leader.mjs on a node: what it says becomes part of the story, and can be waited for. */
class Program {
  #said = [];
  #waiting = [];

  constructor(cluster, node) {
    this.node = node;
    this.process = cluster.exec(node, [process.execPath, PROGRAM]);
    this.exit = this.process.exit;
    for (const stream of [this.process.stdout, this.process.stderr]) {
      readline.createInterface({ input: stream }).on("line", (line) => this.#hear(line));
    }
  }

  #hear(line) {
    tell(`      n${this.node} ${line}`);
    this.#said.push(line);
    for (const look of this.#waiting) look();
  }

  async says(word) {
    const heard = new Promise((resolve) => {
      const look = () => this.#said.includes(word) && resolve();
      this.#waiting.push(look);
      look();
    });
    const ended = this.exit.then((status) => {
      if (!this.#said.includes(word)) throw new Error(`n${this.node} ended: ${JSON.stringify(status)}`);
    });
    await soon(`n${this.node} to say '${word}'`, Promise.race([heard, ended]));
  }
}

async function story(cluster) {
  tell("two nodes are up; node 2 starts first, so that it leads");
  const second = new Program(cluster, 2);
  await second.says("leads");
  const first = new Program(cluster, 1);
  await first.says("waits");

  tell("cuts the cluster network between them");
  const cut = performance.now();
  await cluster.partition([[1], [2]]);
  await first.says("leads");
  tell(`node 1 leads ${((performance.now() - cut) / 1000).toFixed(1)} s after the cut`);
  await sleep(1000); // an old leader that still lives would write meanwhile
  const { nodes } = await cluster.status();
  check(nodes[1].lost === "fenced", `node 2 is ${nodes[1].state}${nodes[1].lost ? `, ${nodes[1].lost}` : ""}`);
  if (nodes[1].lost !== "fenced") return;
  check((await soon("the end of a process", second.exit)).lost === "fenced", "and its program is known to be lost");

  tell("heals the network and starts node 2 again");
  await cluster.heal();
  await cluster.start(2);
  const again = new Program(cluster, 2);
  await again.says("waits");
  await sleep(1000);
  tell("asks node 1 to step down");
  first.process.kill("SIGTERM");
  await again.says("leads");
  check((await soon("node 1 to end", first.exit)).code === 0, "node 1 has ended well");
  again.process.kill("SIGTERM");
  check((await soon("node 2 to end", again.exit)).code === 0, "node 2 has ended well");
}

const out = await mkdtemp(path.join(os.tmpdir(), "partition-"));
try {
  const cluster = await up({ nodes: 2, stack: "dlm", ...values, log: out, onProgress: hear });
  try {
    await story(cluster);
  } finally {
    await cluster.down();
  }
  const { terms, works, second } = readJournal(await readFile(path.join(out, "journal"), "utf8"));
  check(second === undefined, second ?? `never two leaders at once: ${works} deeds, by ${terms.join(", ")} in turn`);
} catch (error) {
  check(false, error.message);
}
if (failed > 0) {
  tell(`what the nodes logged is in ${out}`);
  process.exitCode = 1;
} else {
  await rm(out, { recursive: true });
}
