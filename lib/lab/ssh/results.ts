// CLUSTERLOCK_OUT on a host: a directory of its own there, whose files come here at the end.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";

import type { NodeProcess } from "../cluster";
import { LabError } from "../errors";
import { within } from "../waiting";

type Exec = (argv: readonly string[]) => NodeProcess;

const NEVER = new AbortController().signal;
const PATIENCE_S = 30;
const FETCH_S = 600;

// ends with the session, whatever ends that; a directory with results stays for whoever misses them
const KEEP = 'mkdir -p -m 700 "$1" && echo made && cat >/dev/null; rmdir "$1" 2>/dev/null; :';

/** Makes the directory and keeps an eye on it until `remoteResults.end`. */
export async function keepResults(directory: string, exec: Exec): Promise<NodeProcess> {
  const keeper = exec(["setsid", "/bin/sh", "-c", KEEP, "sh", directory]);
  const made = once(keeper.stdout, "data").then(() => true);
  const ended = keeper.exit.then(() => false);
  if (await within(PATIENCE_S, directory, NEVER, Promise.race([made, ended]))) return keeper;
  throw new LabError(`cannot make ${directory}`);
}

/** Moves the files to the directory `to` of this machine. */
export async function fetchResults(directory: string, to: string, exec: Exec): Promise<void> {
  const from = exec(["tar", "-C", directory, "-c", "."]);
  from.stdin.end();
  from.stderr.resume();
  const unpack = spawn("tar", ["-C", to, "-x", "--no-same-owner"], { stdio: ["pipe", "ignore", "ignore"] });
  const unpacked = once(unpack, "close") as Promise<[number | null]>;
  // tar may close its input before it has seen the end of it; how both ended tells all
  const copied = pipeline(from.stdout, unpack.stdin).catch(() => undefined);
  const [{ code }, [status]] = await within(FETCH_S, "the results", NEVER, Promise.all([from.exit, unpacked, copied]));
  // 1: a program still wrote to a file
  if ((code !== 0 && code !== 1) || status !== 0) throw new LabError(`cannot fetch ${directory}`);
  const remove = exec(["rm", "-rf", "--", directory]);
  remove.stdin.end();
  await within(PATIENCE_S, `the end of ${directory}`, NEVER, remove.exit);
}
