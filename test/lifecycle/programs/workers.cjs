// node workers.cjs DOUBLE CYCLES: starts workers one after the other, each ended in another state and another way. The
// main thread never loads the addon: unloading it with its last worker is the case that crashes careless addons.
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const { STATES, enter } = require("./states.cjs");

const ENDINGS = ["terminate", "exit", "throw", "natural"];

async function cycle(doublePath, round) {
  const ending = ENDINGS[round % ENDINGS.length];
  // A handle that waits for something keeps its worker alive, which is right and tested elsewhere; a stuck double would
  // stay stuck for the workers after it.
  const states = STATES.filter(
    (state) => state !== "stuck" && !(ending === "natural" && ["waiting", "converting", "listening"].includes(state)),
  );
  const state = states[Math.floor(round / ENDINGS.length) % states.length];
  const worker = new Worker(__filename, { workerData: { doublePath, state, ending } });
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  const failed = new Promise((resolve) => worker.once("error", resolve));
  if (ending === "terminate") {
    await new Promise((resolve) => worker.once("message", resolve));
    await worker.terminate();
  }
  const code = await exited;
  const expected = { terminate: 1, exit: 3, throw: 1, natural: 0 }[ending];
  if (code !== expected) throw new Error(`round ${round}: ${state}/${ending} ended with ${code}, not ${expected}`);
  if (ending === "throw" && (await failed).message !== "on purpose") throw new Error(`round ${round}: another error`);
}

async function main() {
  const [doublePath, cycles] = process.argv.slice(2);
  for (let round = 0; round < Number(cycles); round++) await cycle(doublePath, round);
  process.stdout.write(`${cycles} cycles\n`);
}

if (isMainThread) {
  main().catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  });
} else {
  const { doublePath, state, ending } = workerData;
  enter(doublePath, state).then(() => {
    if (ending === "terminate") setInterval(() => undefined, 1000); // stay until it comes
    parentPort.postMessage("ready");
    if (ending === "exit") process.exit(3);
    if (ending === "throw")
      setImmediate(() => {
        throw new Error("on purpose");
      });
  });
}
