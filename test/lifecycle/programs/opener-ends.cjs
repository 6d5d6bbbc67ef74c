// node opener-ends.cjs ADDON EXECUTABLE DIRECTORY STATE ISOLATION ENDING: has one file open and an open() under way, says
// the opener's process id once the thread of that is in STATE (of /proc/PID/stat), and ends.
const fs = require("node:fs");
const path = require("node:path");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const [addon, executable, directory, state, isolation, ending] = workerData ?? process.argv.slice(2);
const O_RDWR = 2;
const kept = [];

const ENDINGS = {
  exit: () => process.exit(3),
  natural: (opener) => opener.setRef(false),
  throw: () => {
    throw new Error("on purpose");
  },
  SIGKILL: () => process.kill(process.pid, "SIGKILL"),
  // as a terminal's Ctrl-C: to the whole group
  SIGINT: () => process.kill(0, "SIGINT"),
  SIGTERM: () => process.kill(process.pid, "SIGTERM"),
  stay: () => undefined,
  terminate: () => undefined, // by the main thread
};

function stateOf(pid, tid) {
  return /\) (\S) /.exec(fs.readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8"))[1];
}

function enter(say) {
  let opener;
  require(addon).startOpener(
    executable,
    isolation,
    (failure, started) => {
      if (failure) throw new Error(JSON.stringify(failure));
      opener = started;
      opener.setRef(true);
      opener.request(1, { op: "acquire", path: path.join(directory, "held"), flags: O_RDWR });
    },
    (events) => {
      for (const { id, kind, file, status } of events) {
        if (id === 1 && kind === "done") {
          kept.push(file);
          opener.request(2, { op: "acquire", path: path.join(directory, "pending"), flags: 0 });
        }
        if (id < 2 || (id === 2 && kind === "done")) continue;
        if (!status?.some(({ tid }) => stateOf(opener.pid, tid) === state)) {
          setImmediate(() => opener.request(id + 1, { op: "status", path: "" }));
          continue;
        }
        say(opener.pid);
        ENDINGS[ending](opener);
      }
    },
    () => {
      throw new Error("the opener has ended first");
    },
  );
}

if (isMainThread && ending === "terminate") {
  const worker = new Worker(__filename, { workerData: process.argv.slice(2) });
  worker.once("message", async (pid) => {
    await worker.terminate();
    process.stdout.write(`${pid}\n`);
  });
} else {
  enter((pid) => (isMainThread ? fs.writeSync(1, `${pid}\n`) : parentPort.postMessage(pid)));
}
