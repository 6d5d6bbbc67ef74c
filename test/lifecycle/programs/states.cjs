// Brings a lockspace handle over the device double, or an opener, into a named state. Used in child processes and in
// workers.
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const workerThreads = require("node:worker_threads");

const { encodeRequest } = require("../../../dist/clog/protocol/kernel-side");
const { useAddon } = require("../../../dist/native");
const { Lockspace } = require("../../../dist/dlm");

/** A path whose open() for reading waits for ever, and which is gone with this environment. */
function waitingPath() {
  const O_PATH = 0o10000000;
  const fifo = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "clusterlock-states-")), "fifo");
  execFileSync("mkfifo", [fifo]);
  const fd = fs.openSync(fifo, O_PATH);
  fs.rmSync(path.dirname(fifo), { recursive: true });
  return `/proc/${process.pid}/fd/${fd}`;
}

/** Resolves when the opener has sent its first event, with that. */
function ask(addon, doublePath, isolation, request) {
  return new Promise((resolve) => {
    let opener;
    const started = (_, one) => {
      opener = one;
      opener.setRef(true);
      opener.request(1, request);
    };
    const onEvents = ([event]) => {
      opener.setRef(false);
      resolve(event);
    };
    const executable = path.join(path.dirname(doublePath), "clusterlock_opener");
    addon.startOpener(executable, isolation, started, onEvents, () => undefined);
  });
}

/** A log socket with requests under way, some of which its receive thread answers. */
function serve(addon) {
  const port = process.pid * 100 + (workerThreads.threadId % 100);
  let socket;
  addon.openLogSocket(
    port,
    1 << 20,
    (failure, opened) => {
      if (failure) throw new Error(`${failure.syscall}: ${failure.errno}`);
      socket = opened;
    },
    () => undefined,
    () => undefined,
  );
  const regions = addon.openRegions(1000, true);
  socket.attach("uuid", 1n, false, regions);
  const ask = (uuid, seq) => {
    const body = { name: "IN_SYNC", region: 5n };
    const request = { flavour: "ulog", uuid, luid: 1n, version: 3, seq, body };
    addon.double.logSend(port, encodeRequest(request), 0);
  };
  for (let i = 0; i < 20; i++) ask(i % 2 === 0 ? "uuid" : "other", i);
  socket.setRef(false);
  return socket;
}

function openFile(addon) {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), "clusterlock-states-"));
  const file = path.join(place, "device");
  fs.writeFileSync(file, Buffer.alloc(64 * 4096));
  return new Promise((resolve, reject) => {
    addon.openBlockDevice(file, true, false, (failure, device) => {
      fs.rmSync(place, { recursive: true });
      if (failure) reject(new Error(`${failure.syscall}: ${failure.errno}`));
      else resolve(device);
    });
  });
}

/** @param {string} doublePath @param {string} state */
exports.enter = async function enter(doublePath, state) {
  const addon = require(doublePath);
  useAddon(addon);
  const quiet = (promise) => promise.catch(() => undefined);
  const ls = await Lockspace.open("life", { create: true });
  switch (state) {
    case "opened":
      break;
    case "held":
      await ls.lock("held-" + process.pid, { mode: "PR", lvb: true });
      break;
    case "watching":
      addon.watchUevents(() => undefined);
      break;
    case "listening":
      await ls.lock("listening", { mode: "PR", onBlocking: () => undefined });
      break;
    case "waiting":
      await ls.lock("w", { mode: "PR" });
      quiet(ls.lock("w"));
      await new Promise((resolve) => setTimeout(resolve, 20));
      break;
    case "converting": {
      await ls.lock("c", { mode: "PR" });
      const second = await ls.lock("c", { mode: "PR" });
      quiet(second.convert("EX"));
      await new Promise((resolve) => setTimeout(resolve, 20));
      break;
    }
    case "stuck":
      addon.double.stall(true);
      quiet(ls.lock("s"));
      break;
    case "opening":
      quiet(Lockspace.open("life"));
      break;
    case "busy":
      for (let i = 0; i < 50; i++) quiet(ls.lock("b" + (i % 5), { mode: "PR" }).then((lock) => lock.release()));
      break;
    case "closing":
      await ls.lock("x");
      quiet(ls.close());
      break;
    case "closed":
      await ls.lock("x");
      await ls.close();
      break;
    case "starting":
      void ask(addon, doublePath, "process", { op: "status", path: "" });
      break;
    case "acquiring":
      await ask(addon, doublePath, "process", { op: "acquire", path: waitingPath(), flags: 0 });
      break;
    case "acquiring on a thread":
      await ask(addon, doublePath, "thread", { op: "acquire", path: waitingPath(), flags: 0 });
      break;
    case "serving":
      serve(addon);
      break;
    case "serving closed":
      serve(addon).close();
      break;
    case "on a device": {
      const device = await openFile(addon);
      for (let i = 0; i < 50; i++) device.write(i * 4096, Buffer.alloc(4096), () => undefined);
      device.flush(() => undefined);
      break;
    }
    default:
      throw new Error(`no such state: ${state}`);
  }
  return { ls, addon };
};

exports.STATES = [
  "opened",
  "held",
  "watching",
  "listening",
  "waiting",
  "converting",
  "stuck",
  "opening",
  "busy",
  "closing",
  "closed",
  "starting",
  "acquiring",
  "acquiring on a thread",
  "serving",
  "serving closed",
  "on a device",
];
