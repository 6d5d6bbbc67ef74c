// npm run bench: clusterlock beside the C library and a bare client of the kernel's interface, on the same node in turn.
// Sets up what it needs, boots one node, two, and two with ocfs2_dlmfs, prints a table and writes bench/out/*.json. Exit status 0: every
// gate was passed.
//
//   npm run bench -- [--only local|remote|memory|dlmfs|clog]... [--cpus N] [--rounds N] [--seconds S]
//
// --cpus: of one node; of two, each has half of them, at least one.
// CLUSTERLOCK_TEST_KERNEL=DIR boots the kernel that is unpacked in DIR.
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { compare, warmUp } from "../bench/compare.mjs";
import { judge } from "../bench/gates.mjs";
import { mirrorParties } from "../bench/mirrors.mjs";
import { Duo, Party } from "../bench/parties.mjs";
import { compilePeers } from "../bench/peers.mjs";
import { report } from "../bench/report.mjs";
import { CLOG, COUNTED, DLMFS, DLMFS_PARTIES, LOCAL, partiesOf, REMOTE } from "../bench/workloads.mjs";
import { interruption, watchSignals } from "./runner/interruption.mjs";
import { root, setUp } from "./setup.mjs";

const USAGE = 64;
const GATE_FAILED = 1;
const LAB_FAILED = 125;
const DOWN_LIMIT = 30_000;
const WARM_UP_LIMIT = 15;
const COUNTED_PAIRS = 20_000;
const MEMORY = { mib: 2048, locks: 100_000, requests: 10_000 };
const PARTS = ["local", "remote", "memory", "dlmfs", "clog"];

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true, default: PARTS },
      cpus: { type: "string", default: "2" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "1.2" },
    },
  });
  const numbers = { cpus: Number(values.cpus), rounds: Number(values.rounds), seconds: Number(values.seconds) };
  const wrong = values.only.find((part) => !PARTS.includes(part));
  if (wrong !== undefined) throw new TypeError(`there is no part "${wrong}"`);
  for (const [name, value] of Object.entries(numbers)) if (!(value > 0)) throw new TypeError(`--${name} is no number`);
  return { ...numbers, parts: values.only };
}

function note(text) {
  process.stderr.write(`bench: ${text}\n`);
}

/** Boots nodes and takes them down again when `body(cluster)` has ended. */
async function withCluster({ nodes, cpus, stack = "dlm" }, body) {
  const { up } = createRequire(import.meta.url)(path.join(root, "dist/lab"));
  const { CLUSTERLOCK_TEST_KERNEL: kernel = "" } = process.env;
  const lab = { nodes, stack, cpus, memory: MEMORY.mib, ...(kernel === "" ? {} : { kernel }) };
  const cluster = await up({ ...lab, signal: interruption, onProgress: note });
  try {
    return await body(cluster);
  } finally {
    await cluster.down();
  }
}

/** Runs the workloads with all their parties on node 1, and puts the rates into `rates`. */
async function measure(cluster, workloads, options, results) {
  const names = [...new Set(workloads.flatMap(partiesOf))];
  const parties = new Map();
  // one after the other: the first creates the lockspace
  for (const name of names) parties.set(name, await Party.named(cluster, 1, name));
  const { cpus, ...facts } = JSON.parse(await parties.get("ours").ask("facts"));
  results.facts = { ...results.facts, ...facts };
  for (const { name } of workloads) results.facts.cpus = { ...results.facts.cpus, [name]: cpus };
  await warmUp(parties.get("ours"), COUNTED, WARM_UP_LIMIT);
  for (const workload of workloads) {
    note(workload.name);
    const chosen = new Map(partiesOf(workload).map((name) => [name, parties.get(name)]));
    results.rates.set(workload.name, await compare(chosen, workload, options));
  }
  for (const party of parties.values()) await party.end();
}

/** In a run of its own: not even a tracepoint is free. */
async function countCalls(cluster, results) {
  note("system calls");
  results.calls = {};
  for (const name of partiesOf(COUNTED)) {
    const party = await Party.named(cluster, 1, name, { counted: true });
    if (name === "ours") await warmUp(party, COUNTED, WARM_UP_LIMIT);
    results.calls[name] = await party.calls(COUNTED, COUNTED_PAIRS);
    await party.end();
  }
}

async function measureMemory(cluster, results) {
  note("memory");
  const program = [process.execPath, "--expose-gc", path.join(root, "bench/node/memory.mjs")];
  const { locks, requests } = MEMORY;
  const party = await Party.start(cluster, 1, [...program, "memory", String(locks), String(requests)]);
  const { facts, ...memory } = JSON.parse(party.first);
  results.facts = { ...results.facts, ...facts };
  results.memory = memory;
  await party.end();
}

async function remote(cluster, options, results) {
  const master = await Party.named(cluster, 2, "ours");
  await master.ask("hold");
  await measure(cluster, REMOTE, options, results);
  await master.end();
}

async function local(cluster, options, results) {
  await measure(cluster, LOCAL, options, results);
  await countCalls(cluster, results);
}

/** Runs a workload with all its parties; `parties`: what takes the turns, by name. */
async function race(workload, parties, options, results) {
  note(workload.name);
  results.facts.cpus = { ...results.facts.cpus, [workload.name]: results.facts.cpus[DLMFS.cached.name] };
  results.rates.set(workload.name, await compare(parties, workload, options));
}

async function dlmfs(cluster, options, results) {
  const parties = new Map();
  for (const name of DLMFS_PARTIES) {
    // one after the other: the first of them creates the domain
    const both = [];
    for (const node of cluster.nodes) both.push(await Party.named(cluster, node, name, { kernel: "dlmfs" }));
    parties.set(name, both);
  }
  const map = (turns) => new Map([...parties].map(([name, both]) => [name, turns(both)]));
  const { cpus, ...facts } = JSON.parse(await parties.get("ours")[0].ask("facts"));
  results.facts = { ...results.facts, ...facts, cpus: { ...results.facts?.cpus, [DLMFS.cached.name]: cpus } };
  for (const party of parties.get("ours")) await warmUp(party, DLMFS.cached, WARM_UP_LIMIT);
  const [, asker] = parties.get("bare");
  await race(
    DLMFS.cached,
    map(([party]) => party),
    options,
    results,
  );
  await race(
    DLMFS.pass,
    map(([one, other]) => new Duo(one, other)),
    options,
    results,
  );
  await race(
    DLMFS.demand,
    map(([keeper]) => new Duo(asker, keeper)),
    options,
    results,
  );
  for (const both of parties.values()) for (const party of both) await party.end();
}

async function clog(cluster, options, results) {
  const { parties, facts, end } = await mirrorParties(cluster);
  const { cpus, ...others } = facts;
  results.facts = { ...results.facts, ...others };
  for (const workload of CLOG) {
    note(workload.name);
    results.facts.cpus = { ...results.facts.cpus, [workload.name]: cpus };
    results.rates.set(workload.name, await compare(parties, workload, options));
  }
  await end();
}

function write(results) {
  const directory = path.join(root, "bench/out");
  mkdirSync(directory, { recursive: true });
  const file = path.join(directory, `${results.began.replaceAll(":", "-")}.json`);
  const plain = (_key, value) => (value instanceof Map ? Object.fromEntries(value) : value);
  writeFileSync(file, `${JSON.stringify(results, plain, 2)}\n`);
  note(`written to ${path.relative(root, file)}`);
}

async function bench(options) {
  await setUp("lab", "interop");
  await compilePeers(path.join(root, "build/bench"));
  const results = { began: new Date().toISOString(), options, rates: new Map() };
  const { parts } = options;
  if (parts.includes("local") || parts.includes("memory")) {
    await withCluster({ nodes: 1, cpus: options.cpus }, async (cluster) => {
      if (parts.includes("local")) await local(cluster, options, results);
      if (parts.includes("memory")) await measureMemory(cluster, results);
    });
  }
  const pair = { nodes: 2, cpus: Math.max(1, Math.floor(options.cpus / 2)) };
  if (parts.includes("remote")) await withCluster(pair, (cluster) => remote(cluster, options, results));
  if (parts.includes("dlmfs")) {
    await withCluster({ ...pair, stack: "o2cb" }, (cluster) => dlmfs(cluster, options, results));
  }
  if (parts.includes("clog")) {
    const one = { nodes: 1, cpus: options.cpus, stack: "none" };
    await withCluster(one, (cluster) => clog(cluster, options, results));
  }
  results.facts = { ...results.facts, host: `${os.cpus().length} x ${os.cpus()[0]?.model ?? "CPU"}` };
  results.gates = judge(results.rates, results.calls?.ours.total);
  process.stdout.write(`\n${report(results)}`);
  write(results);
  return results.gates.every(({ passed }) => passed) ? 0 : GATE_FAILED;
}

let asked;
try {
  asked = options();
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exit(USAGE);
}
watchSignals();
// What an interruption ends in time is cleaned up; the rest goes with this process.
interruption.addEventListener("abort", () => {
  setTimeout(() => process.exit(interruption.reason.status), DOWN_LIMIT).unref();
});
try {
  process.exitCode = await bench(asked);
} catch (error) {
  const cause = interruption.aborted ? interruption.reason : error;
  process.stderr.write(`bench: ${cause.message}\n`);
  process.exitCode = cause.status ?? LAB_FAILED;
}
