// Brings a lockspace handle over the device double into a named state. Used in child processes and in workers.
const { useAddon } = require("../../../dist/native");
const { Lockspace } = require("../../../dist/dlm");

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
];
