// writes.cjs LOCKSPACE RESOURCE, as a child process: holds EX with a value written until it is killed.
const { Lockspace } = require("../../../dist/dlm");

async function main() {
  const [name, resource] = process.argv.slice(2);
  const ls = await Lockspace.open(name);
  const lock = await ls.lock(resource);
  await lock.convert("EX", { lvb: Buffer.from("half done") });
  process.send("ready");
  // an open channel that nobody listens to lets a process end, and so does a lock
  process.on("message", () => undefined);
}

main();
