// node fds.cjs DOUBLE: opens a lockspace with ever more free descriptors, while closes sleep as in a recovery. Prints how
// late a 10 ms timer was at worst, and what the opens said.
const fs = require("node:fs");

const { useAddon } = require("../../../dist/native");
const { Lockspace } = require("../../../dist/dlm");

async function main() {
  const addon = require(process.argv[2]);
  useAddon(addon);
  await (await Lockspace.open("fds", { create: true })).close();
  await new Promise((resolve) => setTimeout(resolve, 200)); // until its thread has let go of everything
  const taken = [];
  try {
    for (;;) taken.push(fs.openSync("/dev/null"));
  } catch (error) {
    if (error.code !== "EMFILE") throw error;
  }
  let worst = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last - 10);
    last = now;
  }, 10);
  const said = [];
  for (let free = 0; free < 8; free++) {
    addon.double.stall(true);
    const opening = Lockspace.open("fds").then(
      (ls) => ({ ls, outcome: "opened" }),
      (error) => ({ outcome: `${error.code} ${error.syscall}` }),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    addon.double.stall(false);
    const { ls, outcome } = await opening;
    said.push(outcome);
    await ls?.close();
    fs.closeSync(taken.pop());
  }
  clearInterval(timer);
  process.stdout.write(JSON.stringify({ worst, said, handles: addon.double.countHandles() }));
}

main();
