// Takes the machines of an inventory for a cluster, makes faults, says so, and waits for its end.
const { connectSsh } = require("../../../dist/lab/ssh/connect.js");

async function main() {
  const cluster = await connectSsh(process.argv[2]);
  cluster.exec(1, ["sh", "-c", "sleep 4711 & wait"], { cwd: "/" });
  await cluster.partition([[1], [2]]);
  await cluster.delay([1, 2], 50);
  process.stdout.write("faults are in effect\n");
  process.stdin.resume();
}

void main();
