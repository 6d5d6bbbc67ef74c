// A lock, its value block and a blocking notice pass between two cluster nodes.
//
// Start it on both nodes of a two-node cluster with CLUSTERLOCK_NODE set to 1 and 2, or let the lab do that:
//
//   clusterlock lab run --nodes 2 --stack dlm -- node examples/handoff/handoff.mjs
//
// Every line says what this node does or sees; the exit status says whether every step held.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Lockspace } from "clusterlock/dlm";

import { Cues } from "./cues.mjs";

const SPACE = "handoff";
const ACCOUNT = "account";
const PATIENCE = 60_000; // milliseconds for one step: enough for an emulated machine
const soon = () => AbortSignal.timeout(PATIENCE);

let failed = 0;
const say = (text) => console.log(text);
// A moment between a word and its deed, so that the lines of two nodes come in the order of what happened.
async function announce(text) {
  say(text);
  await sleep(100);
}
function check(held, text) {
  say(`${held ? "ok  " : "FAIL"} ${text}`);
  if (!held) failed++;
}
const read = (lvb) => Buffer.from(lvb).toString().replace(/\0+$/, "");

async function first(ls, cues) {
  // Held to the end. A value is gone when the node that keeps it leaves, a lock is not: the last word of the story must
  // be a lock's.
  const end = await ls.lock("end");
  const account = await ls.lock(ACCOUNT, { mode: "NL", lvb: true });
  say("holds 'account' in NL: that keeps the value block alive");

  let told;
  const blocked = new Promise((resolve) => (told = resolve));
  await account.convert("EX", { onBlocking: told, signal: soon() });
  check(account.mode === "EX", "converted NL -> EX");
  await cues.give(1);

  const wanted = await Promise.race([blocked, sleep(PATIENCE, null, { ref: false })]);
  check(wanted === "EX", wanted ? `blocking notice: somebody wants ${wanted}` : "no blocking notice came");
  await announce("writes '100 coins' and converts EX -> NL");
  await account.convert("NL", { lvb: Buffer.from("100 coins"), onBlocking: null });
  await cues.wait(2);

  check((await ls.tryLock(ACCOUNT)) === null, "trylock of EX: no, node 2 has it");
  const gaveUp = await ls.lock(ACCOUNT, { signal: AbortSignal.timeout(300) }).catch((error) => error);
  check(gaveUp.name === "TimeoutError", "a request with 300 ms of patience gave up");
  await cues.give(3);

  // A process of its own, so that there is something to kill.
  const holder = spawn(process.execPath, [fileURLToPath(import.meta.url), "holder"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [answer] = await once(holder.stdout, "data");
  check(String(answer).trim() === "writing", "a second process of this node holds EX and has written '70 coins'");
  await cues.give(4);
  await cues.wait(5);
  await announce("kills that process with SIGKILL");
  holder.kill("SIGKILL");
  await once(holder, "exit");
  await cues.wait(6);
  await account.release();
  await end.release();
}

async function second(ls, cues) {
  const keeper = await ls.lock(ACCOUNT, { mode: "NL", lvb: true });
  await cues.wait(1);
  await announce("requests EX on 'account' and queues");
  const account = await ls.lock(ACCOUNT, { mode: "EX", lvb: true, signal: soon() });
  check(account.mode === "EX", "granted EX");
  check(read(account.lvb) === "100 coins" && account.lvbValid, `the value block says '${read(account.lvb)}'`);
  await cues.give(2);
  await cues.wait(3);
  await announce("releases 'account'");
  await account.release();

  await cues.wait(4);
  await announce("requests EX on 'account' again and queues");
  const again = ls.lock(ACCOUNT, { mode: "EX", lvb: true, signal: soon() });
  await cues.give(5);
  const inherited = await again;
  check(inherited.mode === "EX", "granted EX: a dead process holds nothing");
  check(inherited.lvbValid === false, "and told that the value is not valid: its writer died");
  await inherited.release();
  await keeper.release();
  await cues.give(6);
  await (await ls.lock("end", { signal: soon() })).release(); // node 1 has seen it
}

async function holder() {
  const ls = await Lockspace.open(SPACE);
  const lock = await ls.lock(ACCOUNT);
  await lock.convert("EX", { lvb: Buffer.from("70 coins") });
  console.log("writing");
  process.stdin.resume(); // until killed
}

async function main() {
  const node = process.env.CLUSTERLOCK_NODE;
  if (node !== "1" && node !== "2") throw new Error("set CLUSTERLOCK_NODE to 1 on one node and to 2 on the other");
  say("joins lockspace 'handoff'");
  const ls = await Lockspace.open(SPACE, { create: true, signal: soon() });
  await (node === "1" ? first : second)(ls, await Cues.open(ls));
  await ls.close();
  say("leaves the lockspace");
  await Lockspace.remove(SPACE);
}

await (process.argv[2] === "holder" ? holder() : main()).catch((error) => {
  check(false, `unexpected: ${error.message}`);
});
if (failed > 0) process.exit(1);
