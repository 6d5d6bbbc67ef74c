// two-spaces.cjs HELD STOPPED, as a child process: holds a lock in the first lockspace, says "ready", and when told to asks
// for one in the second.
const { Lockspace } = require("../../../dist/dlm");

const [held, stopped] = process.argv.slice(2);

async function main() {
  const first = await Lockspace.open(held);
  const second = await Lockspace.open(stopped);
  await first.lock("k");
  process.once("message", () => second.lock("k"));
  process.send("ready");
}

main();
