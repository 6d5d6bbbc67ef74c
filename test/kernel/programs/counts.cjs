// A worker: adds one to a shared number, `rounds` times, in a way that loses counts unless a lock keeps others out.
const { workerData } = require("node:worker_threads");

const { Lockspace } = require("../../../dist/dlm");

async function main() {
  const counter = new Int32Array(workerData.counter);
  const ls = await Lockspace.open(process.argv[2]);
  for (let round = 0; round < workerData.rounds; round++) {
    const lock = await ls.lock("counter");
    const value = counter[0];
    await new Promise((resolve) => setImmediate(resolve));
    counter[0] = value + 1;
    await lock.release();
  }
  await ls.close();
}

main();
