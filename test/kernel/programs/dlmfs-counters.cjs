// dlmfs-counters.cjs DOMAIN LOCK ROUNDS SEED EXCLUSION: adds one to the number in the value block, ROUNDS times, each time
// under EX, and pauses at random within and without. Prints how often it found less than it had written before.
// occupancy.cjs, on node 1, is told when it holds the lock.
const { Domain } = require("../../../dist/dlmfs");

const { Occupancy } = require("./occupancy.cjs");

const [domainName, name, roundsText, seedText, exclusion] = process.argv.slice(2);

const JITTER_MS = 4;
let state = Number(seedText);
const dice = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;

/** None in half of the cases. */
async function pause() {
  const ms = (dice() * 2 - 1) * JITTER_MS;
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}

async function main() {
  const domain = await Domain.open(domainName, { create: true, exclusion });
  const occupancy = await Occupancy.at("node1");
  let last = 0n;
  let lost = 0;
  for (let round = 0; round < Number(roundsText); round++) {
    await domain.withLock(name, {}, async (lock) => {
      await occupancy.enter();
      const value = Buffer.from(await lock.readLvb());
      const found = value.readBigUInt64BE();
      if (found < last) lost++;
      await pause();
      last = found + 1n;
      value.writeBigUInt64BE(last);
      await lock.writeLvb(value);
      await occupancy.leave();
    });
    await pause();
  }
  occupancy.close();
  await domain.close();
  process.stdout.write(`${lost}\n`);
}

main().catch((error) => process.stderr.write(`${error.stack}\n`, () => process.exit(1)));
