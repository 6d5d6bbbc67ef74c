import { closeSync, openSync, readSync } from "node:fs";
import { readFile, readdir, readlink } from "node:fs/promises";

import { ROOTS } from "../../fs-dlm/inspect/roots";

/** The kernel's number of the first process-id namespace: the one whose ids the kernel prints. PROC_PID_INIT_INO. */
const FIRST_NAMESPACE = "pid:[4026531836]";

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/**
 * Knows whether this node takes part in its o2cb cluster: whether a thread of the kernel writes its heartbeat.
 *
 * What is looked at is the thread, since the file that names it goes on naming it when it has ended, and its directory
 * stays. A look at a thread that is known waits for nothing; looking for one is done in libuv's threads, because removing
 * a region keeps its directory locked until the thread has ended. Source: fs/ocfs2/cluster/heartbeat.c, `o2hb_thread()`.
 */
export class HeartbeatProbe {
  readonly #buffer = Buffer.alloc(16);
  /** By the directory of the region. */
  readonly #threads = new Map<string, number>();
  /** Regions whose thread has ended. Their `pid` is not to be read again: the kernel would look at freed memory. */
  readonly #ended = new Set<string>();
  #closed = false;

  /** True: a thread known from an earlier look writes the heartbeat. False: none of those does, look again. */
  get beats(): boolean {
    let alive = false;
    for (const [region, fd] of this.#threads) {
      if (this.#lives(fd)) {
        alive = true;
        continue;
      }
      closeSync(fd);
      this.#threads.delete(region);
      this.#ended.add(region);
    }
    return alive;
  }

  /** Looks for threads; undefined: that cannot be told here. */
  async look(): Promise<boolean | undefined> {
    const first = await readlink(`${ROOTS.proc}/self/ns/pid`).catch(() => undefined);
    if (first !== FIRST_NAMESPACE) return undefined;
    try {
      const clusters = `${ROOTS.configfs}/cluster`;
      for (const cluster of await readdir(clusters)) await this.#lookIn(`${clusters}/${cluster}`);
    } catch {
      // no configfs in this container, no right to read it, no descriptors: or the cluster goes away this very moment
      return this.beats ? true : undefined;
    }
    return this.beats;
  }

  close(): void {
    this.#closed = true;
    for (const fd of this.#threads.values()) closeSync(fd);
    this.#threads.clear();
  }

  async #lookIn(cluster: string): Promise<void> {
    // a node that is not this one any more ends its threads, but not before they wake up
    if (!(await isLocal(cluster))) return;
    for (const entry of await readdir(`${cluster}/heartbeat`, { withFileTypes: true })) {
      const region = `${cluster}/heartbeat/${entry.name}`;
      if (!entry.isDirectory() || this.#threads.has(region) || this.#ended.has(region)) continue;
      const pid = Number(await readFile(`${region}/pid`, "latin1").catch(() => ""));
      if (pid > 0 && !this.#closed) this.#open(region, pid);
    }
  }

  #open(region: string, pid: number): void {
    let fd: number;
    try {
      fd = openSync(`${ROOTS.proc}/${pid}/comm`, "r");
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      this.#ended.add(region);
      return;
    }
    if (this.#lives(fd)) {
      this.#threads.set(region, fd);
    } else {
      closeSync(fd);
      this.#ended.add(region);
    }
  }

  // What is open stays the thread's, whoever gets its number later.
  #lives(fd: number): boolean {
    try {
      const size = readSync(fd, this.#buffer, 0, this.#buffer.length, 0);
      return this.#buffer.toString("latin1", 0, size).startsWith("o2hb-");
    } catch (error) {
      // ESRCH: it has ended. All else, such as ENOMEM, is about this one read.
      return codeOf(error) !== "ESRCH";
    }
  }
}

async function isLocal(cluster: string): Promise<boolean> {
  for (const node of await readdir(`${cluster}/node`)) {
    if ((await readFile(`${cluster}/node/${node}/local`, "latin1").catch(() => "")).trim() === "1") return true;
  }
  return false;
}
