// Opens a device, locks a file, listens on an abstract socket, and begins a write that hangs.
//   clog-hang.cjs DEVICE LOCKFILE exit|stay|worker
const { isMainThread, parentPort, workerData, Worker } = require("node:worker_threads");
const net = require("node:net");

const { addon, fs, open, sleep, say } = require("./clog-system.cjs");

async function hang(device) {
  const opened = await open(device, true);
  opened.write(0, Buffer.alloc(4096), () => undefined);
  await sleep(300);
}

async function main(device, lockFile, how) {
  if (addon.lockFile(fs.openSync(lockFile, "w")) !== 0) throw new Error("the file is locked");
  await new Promise((resolve, reject) => net.createServer().on("error", reject).listen("\0clog-hang", resolve));
  if (how === "worker") {
    const worker = new Worker(__filename, { workerData: device });
    await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject));
    await worker.terminate();
    say("hangs");
    process.stdin.on("data", () => process.exit());
    return;
  }
  await hang(device);
  say("hangs");
  if (how === "exit") process.exit();
  process.stdin.resume();
}

if (isMainThread) void main(...process.argv.slice(2));
else hang(workerData).then(() => parentPort.postMessage("hangs"));
