// A one-node controller for fs/dlm: lockspaces on a machine that is in no cluster. It fences nobody, and there is
// nobody to fence; for development and tests.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";

import { CLUSTER_NAME, Configuration } from "./configuration";
import { lockspaces } from "./controller";
import { DevError, messageOf } from "./errors";
import { alive, RunDir } from "./run-dir";
import { EXIT_BUSY, type Report, REPORT_FD, type Task } from "./service";
import { kernelTree } from "./tree";

export { DevError, type DevErrorCode } from "./errors";

export interface DevStatus {
  /**
   * - `up`: lockspaces can be created;
   * - `down`: there is no controller;
   * - `dead`: it was killed. Locks go on, but who creates or leaves a lockspace waits for the next `up`.
   */
  readonly state: "up" | "down" | "dead";
  /** The controller's process. */
  readonly pid?: number;
  readonly lockspaces: readonly string[];
  readonly log?: string;
}

export interface DevResult {
  /** It was so before. */
  readonly already: boolean;
  readonly pid?: number;
  readonly note?: string;
}

// compiled: it outlives a caller that loads TypeScript
const PROGRAM = path.resolve(__dirname, "../../../dist/dlm/dev/main.js");

/** The directory has been taken away meanwhile. */
const FLOCK_NO_FILE = 66;

/** For another `up` or `down` to come to its end. */
const TURN_MS = 60_000;

/** Resolves when lockspaces can be created on this machine. */
export async function devUp(): Promise<DevResult> {
  return inTurn("up", async (runDir) => {
    const notes = runDir.read();
    if (notes?.ready === true && alive(notes)) return { already: true, pid: notes.pid };
    const report = await start("serve", runDir);
    if (report === "busy") return undefined;
    const pid = runDir.read()?.pid;
    return { already: false, ...(pid === undefined ? {} : { pid }), ...note(report) };
  });
}

/** Resolves when nothing of it is left; refuses while there are lockspaces. */
export async function devDown(): Promise<DevResult> {
  return inTurn("down", async (runDir) => {
    const notes = runDir.read();
    if (notes !== undefined && alive(notes)) {
      const report = notes.ready ? await ask(runDir) : undefined;
      return report === undefined ? undefined : { already: false, pid: notes.pid, ...note(report) };
    }
    if (devStatus().state === "down") return { already: true };
    const report = await start("clear", runDir);
    return report === "busy" ? undefined : { already: false, ...note(report) };
  });
}

/** Needs no privilege. */
export function devStatus(): DevStatus {
  const runDir = new RunDir();
  const notes = runDir.read();
  const names = lockspaces(kernelTree);
  if (notes !== undefined && alive(notes)) {
    return { state: notes.ready ? "up" : "down", pid: notes.pid, lockspaces: names, log: runDir.log };
  }
  const configured = new Configuration(kernelTree).name() === CLUSTER_NAME;
  return { state: notes !== undefined || configured ? "dead" : "down", lockspaces: names };
}

/** Tries until it is nobody else's turn. */
async function inTurn(verb: string, attempt: (runDir: RunDir) => Promise<DevResult | undefined>): Promise<DevResult> {
  if (!isPrivileged()) throw new DevError("ERR_DEV_PERMISSION", `${verb} needs root with CAP_SYS_ADMIN`);
  const deadline = Date.now() + TURN_MS;
  for (;;) {
    const result = await attempt(new RunDir());
    if (result !== undefined) return result;
    if (Date.now() > deadline) {
      throw new DevError("ERR_DEV_SYSTEM", `another up or down did not end within ${TURN_MS / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function isPrivileged(): boolean {
  const CAP_SYS_ADMIN = 21n;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return process.geteuid?.() === 0 && ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

function note(report: Report): { note?: string } {
  return report.note === undefined ? {} : { note: report.note };
}

function check(report: Report): Report {
  if (report.error) throw new DevError(report.error.code, report.error.message);
  return report;
}

/** Starts the process that holds the lock; flock(1) becomes it, for Node has no call for such a lock. */
async function start(task: Task, runDir: RunDir): Promise<Report | "busy"> {
  if (!existsSync(PROGRAM)) throw new DevError("ERR_DEV_SYSTEM", `${PROGRAM} is missing: run npm run build:ts`);
  const log = openLog(runDir);
  if (log === undefined) return "busy";
  const flock = ["--nonblock", "--no-fork", "-E", String(EXIT_BUSY), runDir.lock];
  const child = spawn("flock", [...flock, process.execPath, PROGRAM, task], {
    cwd: "/",
    // a terminal's signals and end are for us, not for it
    detached: true,
    stdio: ["ignore", log, log, "pipe"],
  });
  closeSync(log);
  const ended = exitOf(child);
  const said = await text(child.stdio[REPORT_FD] as Readable);
  if (said !== "") {
    const report = JSON.parse(said) as Report;
    // who waits for `down` to end may count processes
    if (report.ok && task === "clear") await ended;
    child.unref();
    return check(report);
  }
  const end = await ended;
  if (end === EXIT_BUSY || end === FLOCK_NO_FILE) return "busy";
  throw new DevError("ERR_DEV_SYSTEM", `the controller ended at once (${end}); see ${runDir.log}`);
}

/** Undefined when a `down` that runs takes the directory away. */
function openLog(runDir: RunDir): number | undefined {
  runDir.make();
  try {
    return openSync(runDir.log, "a", 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      resolve(`flock, of util-linux: ${error.message}`);
    });
    child.once("exit", (code, signal) => {
      resolve(code ?? signal ?? "");
    });
  });
}

/** Undefined when it has ended meanwhile. */
async function ask(runDir: RunDir): Promise<Report | undefined> {
  const client = net.connect({ path: runDir.socket, allowHalfOpen: true });
  client.end("down");
  let answer: string;
  try {
    answer = await text(client);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ECONNRESET") return undefined;
    throw new DevError("ERR_DEV_SYSTEM", `the controller cannot be reached: ${messageOf(error)}`, { cause: error });
  }
  return answer === "" ? undefined : check(JSON.parse(answer) as Report);
}
