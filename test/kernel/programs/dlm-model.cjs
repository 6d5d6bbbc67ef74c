// Runs random sequences on this node's kernel beside the model, and prints what came of it as JSON; wants --import tsx.
// Arguments: the lockspace, and what test/model/main.ts calls a Plan.
const fs = require("node:fs");

const { Lockspace } = require("../../../dist/dlm");
const { native } = require("../../../dist/native");
const { findDivergence } = require("../../model/main");

const [name, plan] = process.argv.slice(2);

// The device under each handle: nothing in the library closes it with locks on it, but the end of a process does.
const addon = native();
const openLockspace = addon.openLockspace.bind(addon);
let device;
addon.openLockspace = (...args) => {
  const callback = args.pop();
  openLockspace(...args, (failure, opened) => {
    device = opened;
    callback(failure, opened);
  });
};

// one at a time, so that `device` is the one just asked for
let opening = Promise.resolve();

const bench = {
  open: () =>
    (opening = opening.then(async () => {
      const ls = await Lockspace.open(name, { create: !fs.existsSync(`/sys/kernel/dlm/${name}`) });
      const { close } = device;
      return { ls, drop: close.bind(device) };
    })),
  dump: () => fs.readFileSync(`/sys/kernel/debug/dlm/${name}_all`, "utf8"),
  locksLeft: () => fs.readFileSync(`/sys/kernel/debug/dlm/${name}_locks`, "utf8").split("\n").slice(1).filter(Boolean),
};

findDivergence(bench, JSON.parse(plan)).then(
  (report) => {
    // handles and aborted searches may still be open: the process ends with them
    process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit());
  },
  (error) => {
    process.stderr.write(`${error.stack}\n`, () => process.exit(1));
  },
);
