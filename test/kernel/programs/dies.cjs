// dies.cjs LOCKSPACE STATE ENDING, as a child process or a worker: brings a lock on "k" into the state, says "ready",
// and ends in the given way when told to.
const { Worker, isMainThread, parentPort } = require("node:worker_threads");

const { Lockspace } = require("../../../dist/dlm");

const [name, state, ending] = process.argv.slice(2);

async function enter() {
  const ls = await Lockspace.open(name);
  if (state === "held") {
    const lock = await ls.lock("own", { lvb: true });
    await lock.release();
    // EX on "k" only where nobody else stands on it; the value is written while it is held
    const held = (await ls.tryLock("k")) ?? (await ls.lock("k", { mode: "PR" }));
    if (held.mode === "EX") await held.convert("EX", { lvb: Buffer.from("torn") });
  } else if (state === "waiting") {
    await ls.lock("k", { mode: "PR" });
    ls.lock("k", { mode: "EX" }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
  } else {
    const lock = await ls.lock("k", { mode: "PR" });
    await ls.lock("k", { mode: "PR" });
    lock.convert("EX").catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return ls;
}

function end() {
  if (ending === "exit") process.exit(7);
  if (ending === "throw") throw new Error("on purpose");
}

async function main() {
  if (isMainThread && ending === "terminate") {
    // the lock belongs to a worker, which is what gets terminated
    const worker = new Worker(__filename, { argv: [name, state, "stay"] });
    await new Promise((resolve) => worker.once("message", resolve));
    process.send("ready");
    process.once("message", async () => {
      await worker.terminate();
      process.disconnect();
    });
    return;
  }
  const ls = await enter();
  const port = isMainThread ? process : parentPort;
  port.on("message", (message) => {
    if (message === "end") end();
    else ls.lock("more").catch(() => undefined);
  });
  if (isMainThread) process.send("ready");
  else parentPort.postMessage("ready");
}

main();
