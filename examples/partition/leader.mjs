// The program under test: of all the nodes that run it, one leads at any time.
//
// Whoever holds the lock 'leader' leads; all others wait for it. SIGTERM makes it step down and end. What the leader does
// here is to write into a journal that all nodes share. A real one would do its work in that place.
import { appendFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { Lockspace } from "clusterlock/dlm";

const SPACE = "leader";
const node = process.env.CLUSTERLOCK_NODE;
const journal = path.join(process.env.CLUSTERLOCK_OUT, "journal");
// A file that is open for appending: lines of several nodes never mix, and their order is that in which they were written.
const write = (word) => appendFileSync(journal, `n${node} ${word}\n`);

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const ls = await Lockspace.open(SPACE, { create: true });
console.log("waits");
const lock = await ls.lock("leader", { signal: stop.signal }).catch((error) => {
  if (!stop.signal.aborted) throw error;
});
if (lock) {
  console.log("leads");
  write("leads");
  while (!stop.signal.aborted) {
    await sleep(100, undefined, { signal: stop.signal }).catch(() => undefined);
    write("works");
  }
  // the last word before the lock goes: from here on another may lead
  write("steps down");
  console.log("steps down");
  await lock.release();
}
await ls.close();
await Lockspace.remove(SPACE);
