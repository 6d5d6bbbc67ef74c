// What is alive in a process group, and how it ends.
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** The command lines of the group's processes; a zombie has ended. */
export function members(group) {
  const found = [];
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      // "pid (name) state ppid pgrp ...": the name may hold anything
      const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      if (Number(pgrp) !== group || state === "Z" || state === "X") continue;
      found.push(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim() || pid);
    } catch {
      // it ended while we looked
    }
  }
  return found;
}

/** Resolves to true when nothing of the group is alive any more, to false after `ms`. */
export async function gone(group, ms) {
  const end = Date.now() + ms;
  while (members(group).length > 0) {
    if (Date.now() > end) return false;
    await sleep(50);
  }
  return true;
}

function send(group, signal) {
  try {
    process.kill(-group, signal);
  } catch {
    // it is gone already
  }
}

/** Asks the group to end, and ends what has not after `grace` milliseconds. */
export async function endGroup(group, grace) {
  send(group, "SIGTERM");
  if (!(await gone(group, grace))) send(group, "SIGKILL");
}
