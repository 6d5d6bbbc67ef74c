// Runs on a node: takes functions from the host, one JSON line each, calls them here and answers with what they return.
// A function gets `node`, which keeps what the host cannot: locks, lockspaces, workers. test/kernel/support/shell.ts is
// the other end.
const fs = require("node:fs");
const readline = require("node:readline");

const dlm = require("../../../dist/dlm");

// esbuild wraps the functions of a test file in calls of this helper of its own
globalThis.__name = (fn) => fn;

const node = {
  ...dlm,
  // loaded when a test first asks for it: it would slow down the start of all others
  get Domain() {
    return require("../../../dist/dlmfs").Domain;
  },
  get dlmfs() {
    return require("../../../dist/dlmfs");
  },
  get clog() {
    return require("../../../dist/clog");
  },
  get native() {
    return require("../../../dist/native").native();
  },
  fs,
  childProcess: require("node:child_process"),
  workerThreads: require("node:worker_threads"),
  children: [],
  locks: {},
  held: {},
  log: [],
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  dice: (seed) => {
    let state = seed;
    return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  },
  /** Locks of a lockspace as the kernel lists them; the header line is left out. */
  kernelLocks: (name) => {
    const text = fs.readFileSync(`/sys/kernel/debug/dlm/${name}_locks`, "utf8");
    return text.split("\n").slice(1).filter(Boolean);
  },
  until: async (what, condition, ms = 20_000) => {
    const end = Date.now() + ms;
    while (!(await condition())) {
      if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
      await node.sleep(5);
    }
  },
};

function plain(error) {
  if (typeof error !== "object" || error === null) return { message: String(error) };
  return { name: error.name, message: error.message, stack: error.stack, ...error };
}

process.on("unhandledRejection", (error) => {
  process.stdout.write(`${JSON.stringify({ unhandled: plain(error) })}\n`);
});

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, source, args } = JSON.parse(line);
  let answer;
  try {
    // the function's text is the test's own
    const fn = (0, eval)(`(${source})`);
    answer = { id, value: await fn(node, ...args) };
  } catch (error) {
    answer = { id, error: plain(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
