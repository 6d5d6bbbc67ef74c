// node opener-killed.cjs ADDON EXECUTABLE PATH SIDECAR: waits for the lock of PATH, kills the opener under it, and says
// when it heard of that, and when the name stopped being marked as waited for.
const fs = require("node:fs");

const [addon, executable, path, sidecarPath] = process.argv.slice(2);
const NAME = "name";
const PENDING = 1;
const EXCLUSIVE = 2;
let opener;
let sidecar;
let thread;
let killed;

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const marked = () => sidecar.range(NAME, PENDING, EXCLUSIVE) !== 0;
const state = () => /\) (\S) /.exec(fs.readFileSync(`/proc/${opener.pid}/task/${thread}/stat`, "utf8"))[1];

function next(id, { file, status }) {
  if (id === 1) {
    sidecar = file;
    opener.request(2, {
      op: "acquire",
      path,
      flags: fs.constants.O_RDWR | fs.constants.O_CREAT,
      name: NAME,
      sidecarPath,
    });
    return;
  }
  thread ??= status?.[0]?.tid;
  if (thread === undefined || state() !== "D") {
    setTimeout(() => opener.request(id + 1, { op: "status", path: "" }), 5);
    return;
  }
  killed = Date.now();
  process.kill(opener.pid, "SIGKILL");
}

function ended() {
  say({ ms: Date.now() - killed, state: state(), marked: marked() });
  const timer = setInterval(() => {
    if (marked()) return;
    clearInterval(timer);
    say("free");
  }, 10);
}

require(addon).startOpener(
  executable,
  "process",
  (failure, started) => {
    if (failure) throw new Error(JSON.stringify(failure));
    opener = started;
    opener.setRef(true);
    opener.request(1, { op: "sidecar", path: sidecarPath, mode: 0o600 });
  },
  (events) => {
    for (const event of events) next(event.id, event);
  },
  ended,
);
