// On a node: what locks and waiting requests cost in memory, and how long they take. Prints one line of JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";

const { Lockspace } = createRequire(import.meta.url)("../../dist/dlm");

const [lockspace, locksText, requestsText] = process.argv.slice(2);
const LOCKS = Number(locksText);
const REQUESTS = Number(requestsText);
// Held by somebody else, so that requests wait; a hundred of them in each queue, which the kernel walks.
const QUEUES = REQUESTS / 100;
// How many requests are on their way at a time.
const WINDOW = 1000;

const seconds = (start) => (performance.now() - start) / 1000;

/** In bytes. SUnreclaim: the kernel's objects, whose caches are merged with others of their size. */
async function memory() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await sleep(50);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const kib = Number(/^SUnreclaim: *(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))[1]);
  return { rss, heap: heapUsed, external, kernel: kib * 1024 };
}

function perUnit(before, after, units) {
  return Object.fromEntries(Object.keys(before).map((key) => [key, Math.round((after[key] - before[key]) / units)]));
}

/** Runs `task(0)` to `task(count - 1)`, a window of them at a time. */
async function inWindow(count, task) {
  let next = 0;
  const worker = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: WINDOW }, worker));
}

const ls = await Lockspace.open(lockspace, { create: true });
const other = await Lockspace.open(lockspace);

async function heldLocks() {
  const locks = new Array(LOCKS);
  const before = await memory();
  let start = performance.now();
  await inWindow(LOCKS, async (i) => (locks[i] = await ls.lock(`held-${i}`)));
  const taken = seconds(start);
  const bytes = perUnit(before, await memory(), LOCKS);
  start = performance.now();
  await inWindow(LOCKS, (i) => locks[i].release());
  return { count: LOCKS, bytes, taken, released: seconds(start) };
}

async function until(condition) {
  while (!condition()) await turn();
}

/** Requests that wait, each with a signal of its own if `signals`. */
function wait(signals) {
  return Array.from({ length: REQUESTS }, (_, i) => {
    const controller = signals ? new AbortController() : undefined;
    return { controller, outcome: ls.lock(`queue-${i % QUEUES}`, { signal: controller?.signal }) };
  });
}

/** All that were begun have reached the kernel, which answers in order. */
async function haveArrived() {
  const last = await ls.lock("arrived");
  await last.release();
}

async function grantedRequests() {
  const blockers = await Promise.all(Array.from({ length: QUEUES }, (_, i) => other.lock(`queue-${i}`)));
  const before = await memory();
  let start = performance.now();
  const requests = wait(false);
  const released = requests.map(async ({ outcome }) => (await outcome).release());
  await haveArrived();
  const asked = seconds(start);
  const bytes = perUnit(before, await memory(), REQUESTS);
  start = performance.now();
  await Promise.all(blockers.map((lock) => lock.release()));
  await Promise.all(released);
  return { count: REQUESTS, bytes, asked, grantedAndReleased: seconds(start) };
}

const isAborted = (error) => error.name === "AbortError";

/** Aborts them one by one in random order, as many as `some`, and the others all at once. */
async function abortedRequests(some) {
  const blockers = await Promise.all(Array.from({ length: QUEUES }, (_, i) => other.lock(`queue-${i}`)));
  const before = await memory();
  const requests = wait(true);
  const rejected = requests.map(({ outcome }) => outcome.then(() => false, isAborted));
  await haveArrived();
  const bytes = perUnit(before, await memory(), REQUESTS);
  const order = requests.map((_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  let start = performance.now();
  for (const [n, i] of order.slice(0, some).entries()) {
    requests[i].controller.abort();
    if (!(await rejected[i])) throw new Error(`request ${i} was not aborted`);
    await until(() => ls.pending === REQUESTS - n - 1);
  }
  const oneByOne = seconds(start) / some;
  start = performance.now();
  for (const i of order.slice(some)) requests[i].controller.abort();
  if (!(await Promise.all(rejected)).every(Boolean)) throw new Error("a request was not aborted");
  const rejectedAll = seconds(start);
  await until(() => ls.pending === 0);
  const settled = seconds(start);
  await Promise.all(blockers.map((lock) => lock.release()));
  return { count: REQUESTS, bytes, oneByOne, rest: REQUESTS - some, rejected: rejectedAll, settled };
}

// What is compiled or allocated once is nobody's share. Few names, and the waiting first: what the kernel has freed it
// keeps for a while, and uses again.
await inWindow(20_000, async (i) => (await ls.lock(`warm-${i % WINDOW}`)).release());
const waiting = await grantedRequests();
const held = await heldLocks();
const aborted = await abortedRequests(100);
const left = { held: ls.held, pending: ls.pending };
await ls.close();
await other.close();
const facts = { kernel: os.release(), node: process.version };
process.stdout.write(`${JSON.stringify({ facts, held, waiting, aborted, left })}\n`);
