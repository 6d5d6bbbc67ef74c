// What a server's successor has to know: for each instance of a log one file that says what it is, and one of its regions.

import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import path from "node:path";

import { ClogError } from "../../errors";
import { native } from "../../native";
import type { LogIdentity } from "../log/dirty-log";
import type { Flavour } from "../protocol/requests";

import { ROOTS } from "./roots";
import { alreadyRunning } from "./socket";

const { EADDRINUSE, EAGAIN, EPERM } = constants.errno;

/** Of an instance: its table is being loaded, or was never resumed; its mirror runs; recovery has stopped; nothing runs. */
export type InstanceState = "created" | "active" | "presuspended" | "suspended";

/** What is kept of an instance. */
export interface Entry extends LogIdentity {
  readonly flavour: Flavour;
  /** Of its CTR. */
  readonly words: readonly string[];
  readonly state: InstanceState;
  /** When it was last resumed, and when it became what it is: CLOCK_MONOTONIC in milliseconds. */
  readonly resumedAt: number | undefined;
  readonly changedAt: number;
}

/** CLOCK_MONOTONIC in milliseconds: the same clock for every process until the machine boots. */
export function monotonic(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** A directory of one server at a time. */
export class Registry {
  readonly directory: string;
  readonly #lock: FileHandle;
  readonly #boot: string;
  #writes = 0;

  private constructor(directory: string, lock: FileHandle, boot: string) {
    this.directory = directory;
    this.#lock = lock;
    this.#boot = boot;
  }

  /**
   * @param port the socket's, to tell who has the directory
   * @throws ClogError: EADDRINUSE when another server has it
   */
  static async open(directory: string, port: number): Promise<Registry> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await checkOwner(directory);
      const boot = await readFile(path.join(ROOTS.proc, "sys/kernel/random/boot_id"), "utf8");
      const lock = await open(path.join(directory, "lock"), "a", 0o600);
      const errno = native().lockFile(lock.fd);
      if (errno === 0) return new Registry(directory, lock, boot.trim());
      await lock.close();
      throw new ClogError({
        errno: errno === -EAGAIN ? -EADDRINUSE : errno,
        syscall: "fcntl",
        path: directory,
        hint: errno === -EAGAIN ? await alreadyRunning(port) : undefined,
      });
    } catch (error) {
      if (error instanceof ClogError) throw error;
      const { errno = 0, syscall = "open", path: at = directory } = error as NodeJS.ErrnoException;
      throw new ClogError({
        errno,
        syscall,
        path: at,
        hint: "the directory for what outlives the daemon (option directory)",
        cause: error,
      });
    }
  }

  /** What a predecessor has left, the longest resumed first. Removes what is of another boot, or of no use. */
  async entries(damaged: (path: string, reason: string) => void): Promise<Entry[]> {
    const found: Entry[] = [];
    const useful = new Set(["lock"]);
    const names = await readdir(this.directory);
    for (const name of names.filter((one) => one.endsWith(".json"))) {
      const file = path.join(this.directory, name);
      try {
        const { boot, entry } = parseEntry(await readFile(file, "utf8"));
        if (boot !== this.#boot) continue;
        if (name !== `${fileName(entry)}.json`) throw new Error("it is of another log than its name says");
        found.push(entry);
        useful.add(name).add(`${fileName(entry)}.regions`);
      } catch (error) {
        damaged(file, (error as Error).message);
      }
    }
    await Promise.all(
      names.filter((name) => !useful.has(name)).map((name) => rm(path.join(this.directory, name), { force: true })),
    );
    return found.sort((one, other) => (one.resumedAt ?? 0) - (other.resumedAt ?? 0));
  }

  /** Replaces what was kept of the instance, at once or not at all. */
  async keep(entry: Entry): Promise<void> {
    const file = path.join(this.directory, `${fileName(entry)}.json`);
    const temporary = `${file}.${this.#writes++}`;
    const { flavour, uuid, luid, words, state, resumedAt, changedAt } = entry;
    const text = JSON.stringify({
      version: 1,
      boot: this.#boot,
      ...{ flavour, uuid, luid: String(luid), words, state, resumedAt, changedAt },
    });
    try {
      await writeFile(temporary, `${text}\n`, { mode: 0o600 });
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Where the regions of the instance are. */
  regionsPath(instance: LogIdentity): string {
    return path.join(this.directory, `${fileName(instance)}.regions`);
  }

  /** Forgets what was marked. */
  async removeRegions(instance: LogIdentity): Promise<void> {
    await rm(this.regionsPath(instance), { force: true });
  }

  async remove(instance: LogIdentity): Promise<void> {
    // in this order: regions without a log are removed by the next server, a log without regions would be rebuilt
    await rm(path.join(this.directory, `${fileName(instance)}.json`), { force: true });
    await this.removeRegions(instance);
  }

  async close(): Promise<void> {
    await this.#lock.close();
  }
}

// A UUID may have any character, so it is not fit for a name.
function fileName({ uuid, luid }: LogIdentity): string {
  return createHash("sha256").update(`${luid}\0${uuid}`).digest("hex").slice(0, 32);
}

// Who can write here can make a mirror believe that its legs are the same.
async function checkOwner(directory: string): Promise<void> {
  const { uid, mode } = await stat(directory);
  if (uid === process.geteuid?.() && (mode & 0o022) === 0) return;
  throw new ClogError({
    errno: -EPERM,
    syscall: "mkdir",
    path: directory,
    hint: "others can write to it; remove it, or make it this user's own and of mode 0700",
  });
}

const STATES: readonly unknown[] = ["created", "active", "presuspended", "suspended"] satisfies InstanceState[];

function parseEntry(text: string): { boot: unknown; entry: Entry } {
  const kept = JSON.parse(text) as Record<string, unknown> | null;
  const { version, boot, flavour, uuid, luid, words, state, resumedAt, changedAt } = kept ?? {};
  const instant = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
  if (
    version !== 1 ||
    (flavour !== "ulog" && flavour !== "clog") ||
    typeof uuid !== "string" ||
    typeof luid !== "string" ||
    !/^\d{1,20}$/.test(luid) ||
    !Array.isArray(words) ||
    !words.every((word) => typeof word === "string") ||
    !STATES.includes(state) ||
    !(resumedAt === undefined || instant(resumedAt)) ||
    !instant(changedAt)
  ) {
    throw new Error("it has not what is kept of a log");
  }
  return {
    boot,
    entry: { flavour, uuid, luid: BigInt(luid), words, state: state as InstanceState, resumedAt, changedAt },
  };
}
