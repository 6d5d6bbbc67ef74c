// Prints what a probe finds on this node. Its argument: options as JSON.
const { probe } = require("../../../dist/dlmfs/probe");

async function main() {
  console.log(JSON.stringify(await probe(JSON.parse(process.argv[2] ?? "{}"))));
}

main();
