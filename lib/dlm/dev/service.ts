// The life of the controller's process: from the checks, through the work, to the end that `down` asks for.

import { closeSync, readdirSync, readlinkSync, rmSync, writeSync } from "node:fs";
import net from "node:net";

import { native } from "../../native";
import { Lockspace } from "../lockspace";
import { CLUSTER_NAME, Configuration } from "./configuration";
import { Controller, lockspaces } from "./controller";
import { DevError, type DevErrorCode, messageOf } from "./errors";
import { loadModule, mountConfigfs, putBack } from "./machine";
import { clusterManagers, holders, show, startTime } from "./processes";
import type { Notes, RunDir } from "./run-dir";
import { kernelTree as tree } from "./tree";

/** What the process that started it, or one that asked it to end, gets to read: one line. */
export interface Report {
  readonly ok: boolean;
  /** Something that was done besides. */
  readonly note?: string;
  readonly error?: { readonly code: DevErrorCode; readonly message: string };
}

/** "serve" is `up`; "clear" is `down` for a controller that has died. */
export type Task = "serve" | "clear";

/** The descriptor for the report. */
export const REPORT_FD = 3;
/** Another one has the lock. */
export const EXIT_BUSY = 75;

const PROBE = "clusterlock-dev-probe";
const PROBE_MS = 30_000;

export async function run(task: Task, runDir: RunDir): Promise<void> {
  // `down` deletes the lock's file: then ours is not the one that others will take
  if (!holdsLock(runDir.lock)) process.exit(EXIT_BUSY);
  const service = new Service(runDir);
  try {
    const note = await (task === "serve" ? service.start() : service.clearAfterIt());
    report({ ok: true, ...(note === undefined ? {} : { note }) });
    if (task === "clear") process.exit(0);
  } catch (error) {
    log(`gives up: ${messageOf(error)}`);
    report(failure(error));
    process.exit(1);
  }
}

class Service {
  readonly #runDir: RunDir;
  readonly #before: Notes | undefined;
  readonly #configuration = new Configuration(tree);
  readonly #controller = new Controller(tree, this.#configuration, log);
  #notes: Notes;

  constructor(runDir: RunDir) {
    this.#runDir = runDir;
    this.#before = runDir.read();
    this.#notes = {
      pid: process.pid,
      startTime: startTime(process.pid) ?? "",
      ready: false,
      loadedModule: this.#before?.loadedModule ?? false,
      mountedConfigfs: this.#before?.mountedConfigfs ?? false,
    };
  }

  /** Resolves when lockspaces can be created. */
  async start(): Promise<string | undefined> {
    let ours = false;
    try {
      const managers = clusterManagers();
      if (managers.length > 0) {
        refuse(
          `this machine is a cluster node: ${managers.join(", ")} runs here, and there can be one controller only`,
        );
      }
      this.#note({ loadedModule: loadModule() || this.#notes.loadedModule });
      this.#note({ mountedConfigfs: mountConfigfs() || this.#notes.mountedConfigfs });
      this.#checkOwner();
      ours = true;
      // those who wait from now on are heard, those who waited before are found
      const watcher = native().watchUevents((events, overflowed) => {
        this.#controller.onUevents(events, overflowed);
      });
      watcher.setRef(true);
      this.#configuration.establish();
      this.#controller.recheck();
      if (lockspaces(tree).length === 0) await probe();
      await this.#serve();
      this.#note({ ready: true });
      log("ready");
    } catch (error) {
      // what a former one has left behind stays as it is, for the next
      if (this.#before === undefined && (!ours || lockspaces(tree).length === 0)) this.#takeAway(ours);
      throw error;
    }
    return this.#before === undefined ? undefined : "took over from a controller that had died";
  }

  /** For a controller that has died. */
  async clearAfterIt(): Promise<undefined> {
    if (this.#checkOwner()) {
      this.#controller.recheck();
      await waitUntil(() => lockspaces(tree).every((name) => this.#controller.isSettled(name)));
      const names = lockspaces(tree);
      if (names.length > 0) {
        refuse(
          `its process was killed, and lockspaces are left: ${names.join(", ")}. Bring it up, and leave them first`,
        );
      }
    }
    this.#takeAway(true);
  }

  /** Ends all that `start` began; refuses while there are lockspaces. */
  async end(): Promise<void> {
    this.#refuseWhileInUse();
    this.#configuration.withdrawNode();
    // whoever was creating one at this very moment has been heard of by then
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (lockspaces(tree).length > 0) {
      this.#configuration.establish();
      this.#refuseWhileInUse();
    }
    this.#takeAway(true);
  }

  #takeAway(ours: boolean): void {
    if (ours) this.#configuration.clear();
    putBack(this.#notes);
    this.#runDir.clear();
  }

  #note(news: Partial<Notes>): void {
    this.#notes = { ...this.#notes, ...news };
    this.#runDir.write(this.#notes);
  }

  /** Whether there is a configuration, and it is ours; refuses when it is another's. */
  #checkOwner(): boolean {
    switch (this.#configuration.owner(this.#before !== undefined)) {
      case "us":
        return true;
      case "nobody": {
        const left = lockspaces(tree);
        if (left.length > 0) refuse(`lockspaces are there already, which nobody controls: ${left.join(", ")}`);
        return false;
      }
      case "another":
        return refuse(
          `the kernel's DLM is configured already, as a node of cluster "${this.#configuration.name()}"` +
            ` and not of "${CLUSTER_NAME}": see /sys/kernel/config/dlm`,
        );
    }
  }

  #refuseWhileInUse(): void {
    const names = lockspaces(tree);
    if (names.length === 0) return;
    const list = names.map((name) => {
      const by = holders(name).map(show);
      return by.length === 0 ? `${name} (open nowhere: dlm_tool leave ${name})` : `${name} (open in ${by.join(", ")})`;
    });
    refuse(`lockspaces are left: ${list.join("; ")}`);
  }

  async #serve(): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true }, (client) => {
      let request = "";
      client.setEncoding("utf8");
      client.on("error", () => undefined);
      client.on("data", (chunk: string) => (request += chunk));
      client.on("end", () => {
        if (request === "down") void this.#onDown(client);
        else client.end();
      });
    });
    // that of one who died
    rmSync(this.#runDir.socket, { force: true });
    process.umask(0o077);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#runDir.socket, resolve);
    });
  }

  async #onDown(client: net.Socket): Promise<void> {
    let answer: Report = { ok: true };
    try {
      await this.end();
      log("down");
    } catch (error) {
      answer = failure(error);
    }
    const leave = (): void => {
      if (answer.ok) process.exit(0);
    };
    // who asked may not have waited
    if (client.destroyed) leave();
    client.once("close", leave);
    client.end(JSON.stringify(answer));
  }
}

/** The proof: a lockspace comes and goes. */
async function probe(): Promise<void> {
  const signal = AbortSignal.timeout(PROBE_MS);
  try {
    const lockspace = await Lockspace.open(PROBE, { create: true, signal });
    await lockspace.close();
    await Lockspace.remove(PROBE);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "EUNATCH") {
      refuse(
        "dlm_controld was here since the module dlm was loaded, and the kernel waits for it to come back: " +
          "unload the module first (modprobe -r dlm)",
      );
    }
    const why =
      code === "EADDRINUSE" ? "port 21064 of 127.0.0.1, which the kernel listens at, is taken" : messageOf(error);
    throw new DevError("ERR_DEV_SYSTEM", `no lockspace can be created: ${why}`, { cause: error });
  }
}

function holdsLock(file: string): boolean {
  return readdirSync("/proc/self/fd").some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false;
    }
  });
}

function report(what: Report): void {
  try {
    writeSync(REPORT_FD, JSON.stringify(what));
    closeSync(REPORT_FD);
  } catch (error) {
    log(`nobody takes the report: ${messageOf(error)}`);
  }
}

function failure(error: unknown): Report {
  const code = error instanceof DevError ? error.code : "ERR_DEV_SYSTEM";
  return { ok: false, error: { code, message: messageOf(error) } };
}

function refuse(message: string): never {
  throw new DevError("ERR_DEV_REFUSED", message);
}

function log(line: string): void {
  console.log(`${new Date().toISOString()} ${line}`);
}

/** The kernel goes on by itself once it has its answers; what is stuck for another reason stays stuck. */
async function waitUntil(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 2000; Date.now() < end && !condition();) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
