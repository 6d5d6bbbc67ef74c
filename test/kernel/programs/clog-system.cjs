// What the addon offers of the system, for programs on a node: callbacks as promises.
const fs = require("node:fs");
const { execFileSync } = require("node:child_process");

const addon = require("../../../dist/native").native();

const ended = (resolve, reject) => (failure, value) => {
  if (failure) reject(Object.assign(new Error(failure.syscall), failure));
  else resolve(value);
};

module.exports = {
  addon,
  fs,
  open: (path, writable = false, direct = true) =>
    new Promise((resolve, reject) => {
      addon.openBlockDevice(path, writable, direct, ended(resolve, reject));
    }),
  /** Calls a method that ends in a callback; resolves with what the callback got. */
  did: (device, method, ...args) =>
    new Promise((resolve) => {
      device[method](...args, (...result) => resolve(result));
    }),
  list: () =>
    new Promise((resolve, reject) => {
      addon.listDmDevices(ended(resolve, reject));
    }),
  sh: (script) => execFileSync("sh", ["-ec", script], { encoding: "utf8" }).trim(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  /** Flushes that a device was asked for since it is there: field 16 of Documentation/block/stat.rst. */
  flushes: (device) => Number(fs.readFileSync(`/sys/block/${device}/stat`, "latin1").trim().split(/\s+/)[15]),
  /** This thread's, or another one's: PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE of its flags. */
  flusherFlags: (tid) =>
    Number(
      fs
        .readFileSync(`/proc/self/task/${tid}/stat`, "latin1")
        .replace(/^.*\) /, "")
        .split(" ")[6],
    ) & 0x180000,
  say: (value) => console.log(JSON.stringify(value)),
};
