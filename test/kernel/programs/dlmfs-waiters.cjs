// dlmfs-waiters.cjs MOUNT OTHER_MOUNT DOMAIN NAMES COUNT: holds NAMES locks through one mount, lets COUNT requests wait for
// them through the other, gives every second one up and is granted the rest. Prints what the event loop did meanwhile,
// what a waiter cost, and what was left.
const dns = require("node:dns/promises");
const { readdirSync, readFileSync, readlinkSync } = require("node:fs");
const { readFile } = require("node:fs/promises");

const { Domain } = require("../../../dist/dlmfs");

const [mount, otherMount, domainName, namesText, countText] = process.argv.slice(2);
const NAMES = Number(namesText);
const COUNT = Number(countText);
const WATCHED_MS = 2000;
const TICK_MS = 10;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what, condition) {
  for (const end = Date.now() + 60_000; !condition(); await sleep(5)) {
    if (Date.now() > end) throw new Error(`not within 60 s: ${what}`);
  }
}

function openers() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/exe`).includes("clusterlock_opener");
      } catch {
        return false;
      }
    });
}

function kib(file, key) {
  return Number(new RegExp(`^${key}:\\s*(\\d+)`, "m").exec(readFileSync(file, "utf8"))[1]);
}

function threadsOf(pid) {
  return readdirSync(`/proc/${pid}/task`).length;
}

async function resources(opener) {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await sleep(50);
  }
  return {
    node: process.memoryUsage().rss,
    opener: kib(`/proc/${opener}/status`, "VmRSS") * 1024,
    kernelStacks: kib("/proc/meminfo", "KernelStack") * 1024,
    threads: threadsOf(opener),
    descriptors: readdirSync("/proc/self/fd").length + readdirSync(`/proc/${opener}/fd`).length,
  };
}

/** The longest time between two ticks of a timer of 10 ms. */
function watchLoop() {
  let last = performance.now();
  const seen = { ticks: 0, longest: 0 };
  const timer = setInterval(() => {
    const now = performance.now();
    seen.ticks++;
    seen.longest = Math.max(seen.longest, now - last);
    last = now;
  }, TICK_MS);
  return () => {
    clearInterval(timer);
    return seen;
  };
}

/** What libuv's threads serve: as many as it has would be gone if a request waited on one. */
async function served() {
  const start = performance.now();
  await Promise.all(Array.from({ length: 8 }, () => readFile("/proc/self/status")));
  await Promise.all(Array.from({ length: 8 }, () => dns.lookup("localhost")));
  return performance.now() - start;
}

async function main() {
  const before = new Set(openers());
  const holders = await Domain.open(domainName, { create: true, mount });
  const waiters = await Domain.open(domainName, { create: true, mount: otherMount });
  const [opener] = openers().filter((pid) => !before.has(pid));
  const names = Array.from({ length: NAMES }, (_, index) => `name-${index}`);
  // what is compiled, allocated or started once is nobody's share
  for (let i = 0; i < 50; i++) await waiters.withLock("warm", {}, served);
  const held = await Promise.all(names.map((name) => holders.lock(name)));
  await until("the holders' threads to end", () => threadsOf(opener) === 1);
  const idle = await resources(opener);

  const controllers = [];
  let granted = 0;
  let givenUp = 0;
  const start = performance.now();
  const requests = Array.from({ length: COUNT }, (_, index) => {
    const controller = new AbortController();
    controllers.push(controller);
    return waiters.lock(names[index % NAMES], { signal: controller.signal }).then(
      async (lock) => {
        granted++;
        await lock.release();
      },
      (error) => {
        if (error.name !== "AbortError") throw error;
        givenUp++;
      },
    );
  });
  const waits = () => waiters.pending();
  await until("all wait", () => waits().length === COUNT);
  // each open that sleeps in the kernel has a thread of the opener's
  await until("as many as can sleep in the kernel", () => threadsOf(opener) === idle.threads + NAMES);
  const asked = performance.now() - start;
  const waiting = await resources(opener);
  const stop = watchLoop();
  const service = await served();
  await sleep(WATCHED_MS);
  const loop = stop();

  for (let i = 1; i < COUNT; i += 2) controllers[i].abort();
  await until("the aborted ones to reject", () => givenUp === COUNT / 2);
  const grantedBefore = granted;
  const release = performance.now();
  await Promise.all(held.map((lock) => lock.release()));
  await Promise.all(requests);
  await until("nothing waits", () => waits().length === 0);
  const settled = performance.now() - release;
  const perWaiter = (key) => Math.round((waiting[key] - idle[key]) / COUNT);
  // a thread ends a little after its answer
  await until("the threads to end", () => threadsOf(opener) <= idle.threads);
  for (const domain of [waiters, holders]) {
    for (const name of await domain.names()) await domain.drop(name);
  }
  const end = await resources(opener);
  for (const domain of [waiters, holders]) await domain.leave();
  const report = {
    bytes: { node: perWaiter("node"), opener: perWaiter("opener"), kernelStacks: perWaiter("kernelStacks") },
    ms: { asked: Math.round(asked), service: Math.round(service), settled: Math.round(settled) },
    loop: { ticks: loop.ticks, longest: Math.round(loop.longest), of: WATCHED_MS / TICK_MS },
    outcomes: { grantedBefore, granted, givenUp },
    left: {
      threads: end.threads - idle.threads,
      // those of the locks that were held have gone too
      descriptors: end.descriptors - idle.descriptors + NAMES,
    },
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

main().catch((error) => process.stderr.write(`${error.stack}\n`, () => process.exit(1)));
