// Runs random sequences on this node's kernel beside the model, and prints what came of it as JSON; one line for
// each plan. Arguments: the lockspace, the directory of the compiled model, and what test/model/main.ts calls a Plan, more
// than one of them.
const fs = require("node:fs");

const { Lockspace } = require("../../../dist/dlm");
const { native } = require("../../../dist/native");

const [name, model, ...plans] = process.argv.slice(2);
const { findDivergence } = require(`${model}/main.js`);

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
      const own = device;
      // what has been asked for in this turn is still on its way to the device
      return { ls, drop: () => setImmediate(() => own.close(false)) };
    })),
  dump: () => fs.readFileSync(`/sys/kernel/debug/dlm/${name}_all`, "utf8"),
  locksLeft: () => fs.readFileSync(`/sys/kernel/debug/dlm/${name}_locks`, "utf8").split("\n").slice(1).filter(Boolean),
};

async function main() {
  for (const plan of plans) {
    const report = await findDivergence(bench, JSON.parse(plan));
    await new Promise((resolve) => process.stdout.write(`${JSON.stringify(report)}\n`, resolve));
  }
}

main().then(
  // handles and what was given up may still be open: they end with the process
  () => process.exit(),
  (error) => process.stderr.write(`${error.stack}\n`, () => process.exit(1)),
);
