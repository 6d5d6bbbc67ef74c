// dlmfs-classic.cjs DOMAIN LOCK ITERATIONS: one node's part in the schedule of ocfs2-test's lvb_torture, with its value:
// eight bytes, big-endian, at the beginning of the value block. In iteration i one node, in turn, holds EX and makes i to
// i + 1 when all others are about to ask for PR; they have to read i + 1.
const { Domain } = require("../../../dist/dlmfs");

const { Barrier } = require("./barrier.cjs");

const [domainName, name, iterationsText] = process.argv.slice(2);
const iterations = BigInt(iterationsText);
const node = Number(process.env.CLUSTERLOCK_NODE);
const nodes = Number(process.env.CLUSTERLOCK_NODES);

async function expectValue(lock, iteration, expected) {
  const value = Buffer.from(await lock.readLvb());
  const found = value.readBigUInt64BE();
  const rest = value.subarray(8).every((byte) => byte === 0) ? "" : ` and ${value.toString("hex", 8)} behind it`;
  if (found === expected && rest === "") return;
  throw new Error(
    `iteration ${iteration}: node ${node} holds ${lock.mode}, expected ${expected}, found ${found}${rest}`,
  );
}

async function write(lock, number) {
  const value = Buffer.alloc(8);
  value.writeBigUInt64BE(number);
  await lock.writeLvb(value);
}

async function main() {
  const domain = await Domain.open(domainName, { create: true });
  const barrier = await Barrier.join(node, nodes);
  if (node === 1) {
    await domain.withLock(name, {}, (lock) => lock.writeLvb(Buffer.alloc(32)));
  }
  await barrier.wait();
  const start = performance.now();
  for (let iteration = 0n; iteration < iterations; iteration++) {
    if (iteration % BigInt(nodes) === BigInt(node - 1)) {
      const lock = await domain.lock(name, { mode: "EX" });
      await barrier.wait();
      await expectValue(lock, iteration, iteration);
      await write(lock, iteration + 1n);
      await lock.release();
    } else {
      await barrier.wait();
      const lock = await domain.lock(name, { mode: "PR" });
      await expectValue(lock, iteration, iteration + 1n);
      await lock.release();
    }
    await barrier.wait();
  }
  const ms = performance.now() - start;
  barrier.leave();
  await domain.close();
  process.stdout.write(`${JSON.stringify({ iterations: Number(iterations), ms })}\n`);
}

main().catch((error) => process.stderr.write(`${error.stack}\n`, () => process.exit(1)));
