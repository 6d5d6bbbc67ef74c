// The cluster log's server on a node, as a program of its own: whole, or as a build from which a flush is missing.
//   node server.cjs DIRECTORY CLEAR_DELAY whole|no-leg-flush|no-log-flush
const fs = require("node:fs");

const { LogServer } = require("../../../../dist/clog");
const { coreLog, DiskLog } = require("../../../../dist/clog/log");
const { native, useAddon } = require("../../../../dist/native");

const [directory, clearDelay, build] = process.argv.slice(2);

// The legs are opened for reading, to be flushed; the log with O_DSYNC, for writing.
const BUILDS = {
  whole: (open) => open,
  "no-leg-flush": (open) => (path, writable, direct, opened) => {
    open(path, writable, direct, (failure, device) => {
      opened(failure, writable || device === undefined ? device : flushless(device));
    });
  },
  "no-log-flush": (open) => (path, writable, direct, opened) => {
    open(path, writable, direct, (failure, device) => {
      opened(failure, !writable || device === undefined ? device : unsynced(device, path));
    });
  },
};

function flushless(device) {
  return { ...forward(device), flush: (callback) => setImmediate(callback, 0) };
}

// written by O_DIRECT all the same, so that it comes to the disk and nothing but the flush is missing
function unsynced(device, path) {
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_DIRECT);
  // memory of WebAssembly begins at a page
  const page = Buffer.from(new WebAssembly.Memory({ initial: 1 }).buffer);
  return {
    ...forward(device),
    write: (position, data, callback) => {
      page.set(data);
      fs.writeSync(fd, page, 0, data.length, position);
      setImmediate(callback, 0);
    },
    flush: (callback) => setImmediate(callback, 0),
    close: (callback) => {
      fs.closeSync(fd);
      device.close(callback);
    },
  };
}

// an object of the addon must be the receiver of its methods
function forward(device) {
  const methods = ["read", "write", "flush", "close"].map((name) => [name, (...words) => device[name](...words)]);
  const { size, major, minor, logicalBlockSize } = device;
  return { ...Object.fromEntries(methods), size, major, minor, logicalBlockSize };
}

async function main() {
  const real = native();
  const sabotage = BUILDS[build];
  if (sabotage !== BUILDS.whole) {
    const openBlockDevice = sabotage((...words) => real.openBlockDevice(...words));
    useAddon(new Proxy(real, { get: (addon, name) => (name === "openBlockDevice" ? openBlockDevice : addon[name]) }));
  }
  const server = await LogServer.listen({
    directory,
    logs: {
      "clustered-core": coreLog,
      "clustered-disk": (context) => DiskLog.create(context, { clearDelay: Number(clearDelay) }),
    },
  });
  server.on("trouble", (trouble) => console.log("trouble", JSON.stringify(trouble, plain)));
  server.on("report", (report) => console.log("report", JSON.stringify(report, plain)));
  process.once("SIGTERM", () => void server.close().then(() => process.exit(0)));
  console.log("ready");
}

function plain(_key, value) {
  if (typeof value === "bigint") return String(value);
  return value instanceof Error ? value.message : value;
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
