// Runs one program to its end, its limit or our interruption, whichever comes first; nothing of it outlives the call.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { interruption } from "./interruption.mjs";
import { endGroup, gone, members } from "./process-group.mjs";

// Enough for a lab to take its nodes down.
const GRACE = 15_000;
// For processes that are on their way out when the program that started them has ended.
const LEFT_LIMIT = 3_000;

/**
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, limit?: number, grace?: number, collect?: "all" | "stdout",
 *   report?: (line: string, stop: (why: string) => void) => void }} options
 * `limit` in milliseconds; `collect` returns the output instead of showing it; `report` is told each line that the
 * program writes to its descriptor 3, and may stop it.
 * @returns {Promise<{ code: number | null, signal: string | null, stopped?: string, left: string[], output: string }>}
 * Rejects with `Interrupted` when we were.
 */
export async function runChild(program, args, { cwd, env = process.env, limit, grace = GRACE, collect, report }) {
  interruption.throwIfAborted();
  // A process group of its own can be ended as a whole. setpriv: it ends with us, even if we are killed.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...args], {
    cwd,
    env,
    detached: true,
    stdio: ["ignore", collect ? "pipe" : "inherit", collect === "all" ? "pipe" : "inherit", report ? "pipe" : "ignore"],
  });
  const group = child.pid;
  const ended = once(child, "exit");
  const closed = once(child, "close");
  closed.catch(() => undefined);

  let stopped;
  let ending;
  const stop = (why) => {
    stopped ??= why;
    ending ??= endGroup(group, grace);
  };
  const interrupt = () => stop("interrupted");
  interruption.addEventListener("abort", interrupt);
  const timer = limit === undefined ? undefined : setTimeout(stop, limit, `did not end within ${inWords(limit)}`);

  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += chunk));
  if (report) createInterface({ input: child.stdio[3] }).on("line", (line) => report(line, stop));
  try {
    const [code, signal] = await ended;
    const left = stopped === undefined && !(await gone(group, LEFT_LIMIT)) ? members(group) : [];
    if (left.length > 0) stop("left processes behind");
    await ending;
    // Whoever fled from the group may hold the pipes open.
    await Promise.race([closed, sleep(1_000, undefined, { ref: false })]);
    interruption.throwIfAborted();
    return { code, signal, stopped, left, output };
  } finally {
    clearTimeout(timer);
    interruption.removeEventListener("abort", interrupt);
    for (const stream of child.stdio) stream?.destroy();
  }
}

function inWords(ms) {
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${ms / 1000} s`;
}
