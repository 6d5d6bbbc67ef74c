// The comparison: one party at a time, round by round, so that whatever else the machine does meets all of them.
import { summary } from "./statistics.mjs";

const FIRST = 64;
const GROWTH = 8;

/** How many rounds of the workload take this party about so many seconds; finding out warms it up. */
async function countFor(party, workload, seconds) {
  let count = FIRST;
  for (;;) {
    const took = await party.turn(workload, count);
    const next = Math.ceil(count * Math.min(GROWTH, seconds / took));
    if (took > seconds / 2) return next;
    count = next;
  }
}

/**
 * Lets a party that compiles while it runs do so: turns of about a second, until three of them in a row were no faster
 * than the best before, or `limit` seconds have gone.
 */
export async function warmUp(party, workload, limit) {
  const SECONDS = 1;
  let count = FIRST;
  let best = 0;
  for (let spent = 0, stale = 0; stale < 3 && spent < limit;) {
    const took = await party.turn(workload, count);
    const rate = count / took;
    spent += took;
    // a turn that is over at once says little
    if (took > SECONDS / 4) stale = rate > best * 1.05 ? 0 : stale + 1;
    best = Math.max(best, rate);
    count = Math.ceil(count * Math.min(GROWTH, SECONDS / took));
  }
}

/**
 * @param {Map<string, { turn: Function }>} parties by name
 * @returns {Promise<Map<string, { median: number, min: number, max: number, rounds: number[] }>>} rounds of the workload a
 * second, by the party's name
 */
export async function compare(parties, workload, { rounds, seconds }) {
  const counts = new Map();
  for (const [name, party] of parties) counts.set(name, await countFor(party, workload, seconds));
  const rates = new Map([...parties.keys()].map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, party] of parties) {
      const took = await party.turn(workload, counts.get(name));
      rates.get(name).push(counts.get(name) / took);
    }
  }
  return new Map([...rates].map(([name, rates]) => [name, summary(rates)]));
}
