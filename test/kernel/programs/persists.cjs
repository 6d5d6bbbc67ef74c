// persists.cjs LOCKSPACE RESOURCE MODE [drop]: takes a persistent lock in NL, converts it to MODE and ends without a
// release. "drop": the conversion says that it is persistent no more.
const { Lockspace } = require("../../../dist/dlm");

const [name, resource, mode, drop] = process.argv.slice(2);

async function main() {
  const ls = await Lockspace.open(name);
  const lock = await ls.lock(resource, { mode: "NL", persistent: true });
  await lock.convert(mode, drop === undefined ? {} : { persistent: false });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
