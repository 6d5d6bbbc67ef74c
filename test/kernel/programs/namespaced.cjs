// namespaced.cjs LOCKSPACE, inside a PID namespace: takes locks, drops them all, and prints what is left.
const fs = require("node:fs");

const { Lockspace } = require("../../../dist/dlm");

const [name] = process.argv.slice(2);

async function main() {
  const ls = await Lockspace.open(name);
  await Promise.all([1, 2, 3].map((i) => ls.lock(`namespaced-${i}`)));
  await ls.releaseAll();
  const lines = fs.readFileSync(`/sys/kernel/debug/dlm/${name}_locks`, "utf8").split("\n");
  const purge = await ls.purge({ pid: 1 }).catch((error) => error.code);
  console.log(
    JSON.stringify({ held: ls.held, kernel: lines.filter((line) => line.includes("namespaced-")).length, purge }),
  );
  await ls.close();
}

main();
