import { constants } from "node:fs";
import { readFile, stat, statfs } from "node:fs/promises";

import { onAbort } from "../aborts";
import { LockStateError } from "../errors";
import type { NativeFile, NativeOpenerEvent, NativeOpenerRequest } from "../native";

import type { Exclusion } from "./domain-options";
import type { Sidecar } from "./handle";
import { dlmfsError } from "./hints";
import type { Opener } from "./opener";
import { KEEP_NAME, PATHS, clusterNameLock, sidecarPath } from "./paths";

const ENOENT = -2;
const EEXIST = -17;
const ENODEV = -19;
const ENOTEMPTY = -39;
const EBADR = -53;
const EBUSY = -16;

/** The type that statfs(2) gives for ocfs2_dlmfs. Source: fs/ocfs2/dlmfs/dlmfs.c, OCFS2_DLMFS_MAGIC. */
const DLMFS_MAGIC = 0x76a9f425;

export interface JoinOptions {
  name: string;
  mount: string;
  create: boolean;
  mode: number;
  exclusion: Exclusion;
  runDirectory: string;
  allowClusterNameWorkaround: boolean;
  signal: AbortSignal | undefined;
}

export interface Joined {
  path: string;
  stack: string;
  sidecar: Sidecar | undefined;
  keep: NativeFile;
}

/** What a mount is: its number, and where its locks come from. */
export async function inspectMount(mount: string): Promise<{ device: number; stack: string }> {
  const hint = "mount -t ocfs2_dlmfs none /dlm (after modprobe ocfs2_dlmfs), or name the mount that there is";
  try {
    // Neither goes into the file system: they ask about the root that is mounted.
    const [{ type }, { dev }] = await Promise.all([statfs(mount), stat(mount)]);
    if (type !== DLMFS_MAGIC) throw dlmfsError(ENODEV, "statfs", { path: mount }, `no ocfs2_dlmfs there: ${hint}`);
    return { device: dev, stack: await clusterStack() };
  } catch (error) {
    const { errno, syscall } = error as NodeJS.ErrnoException;
    if (errno === ENOENT && syscall !== undefined) throw dlmfsError(errno, syscall, { path: mount }, hint);
    throw error;
  }
}

/** "o2cb", or the name of another stack, whose locks then are fs/dlm's. */
async function clusterStack(): Promise<string> {
  try {
    return (await readFile(PATHS.clusterStack, "utf8")).trim();
  } catch {
    return "o2cb";
  }
}

/** Carries a domain's name through the steps of joining it. */
export class Membership {
  readonly #opener: Opener;
  readonly #options: JoinOptions;
  readonly #path: string;
  #stack = "o2cb";

  constructor(opener: Opener, options: JoinOptions) {
    this.#opener = opener;
    this.#options = options;
    this.#path = `${options.mount}/${options.name}`;
  }

  /** @throws DlmfsError, the signal's reason */
  async join(): Promise<Joined> {
    const { mount, name, exclusion, runDirectory } = this.#options;
    const { device, stack } = await inspectMount(mount);
    this.#stack = stack;
    if (stack !== "o2cb") await this.#mendClusterName();
    for (;;) {
      const directory = await this.#enter();
      const path = sidecarPath(runDirectory, device, name);
      const sidecar = exclusion === "node" ? await this.#openSidecar(path, directory) : undefined;
      try {
        const keep = await this.#keep();
        if (keep) return { path: this.#path, stack, sidecar, keep };
      } catch (error) {
        sidecar?.file.close();
        throw error;
      }
      // somebody has removed the domain since it was found
      sidecar?.file.close();
    }
  }

  /** Finds the domain's directory, or makes it. */
  async #enter(): Promise<NonNullable<NativeOpenerEvent["stat"]>> {
    for (;;) {
      const found = await this.#ask({ op: "stat", path: this.#path });
      if (found.stat) return found.stat;
      if (found.errno !== ENOENT) throw this.#failure(found);
      if (!this.#options.create) {
        throw this.#failure(found, "this node has not joined the domain through this mount: { create: true } joins it");
      }
      const made = await this.#make();
      if (made.errno === 0) continue;
      // Made by somebody else meanwhile, which is as good; or the name is in use without a directory here.
      const there = made.errno === EEXIST && (await this.#ask({ op: "stat", path: this.#path })).stat;
      if (!there) throw this.#failure(made);
      return there;
    }
  }

  async #make(): Promise<NativeOpenerEvent> {
    const request = { op: "mkdir", path: this.#path, mode: this.#options.mode } as const;
    const made = await this.#ask(request);
    if (made.errno !== EBADR || !this.#options.allowClusterNameWorkaround) return made;
    const nameLockPath = clusterNameLock(this.#options.runDirectory);
    return this.#ask({ ...request, namePath: PATHS.clusterName, nameLockPath });
  }

  // Somebody who was killed while the name was blank has left it so, and with it every later join of this node broken.
  async #mendClusterName(): Promise<void> {
    const nameLockPath = clusterNameLock(this.#options.runDirectory);
    const saved = await stat(nameLockPath).then(
      ({ size }) => size > 0,
      () => false,
    );
    if (!saved) return;
    const mended = await this.#ask({ op: "restore", path: "", namePath: PATHS.clusterName, nameLockPath });
    if (mended.errno !== 0) throw dlmfsError(mended.errno, mended.syscall, { path: PATHS.clusterName });
  }

  async #openSidecar(path: string, directory: NonNullable<NativeOpenerEvent["stat"]>): Promise<Sidecar> {
    // who may lock may keep others out: a reader of the domain by reading, a writer by writing
    const mode = [6, 3, 0].reduce((bits, shift) => bits | (fileBits(directory.mode >> shift) << shift), 0);
    const { uid, gid } = directory;
    const outcome = await this.#ask({ op: "sidecar", path, mode, uid, gid });
    if (outcome.file) return { file: outcome.file, path };
    throw dlmfsError(
      outcome.errno,
      outcome.syscall,
      { path, domain: this.#options.name },
      "processes of this node exclude each other by this file; { runDirectory } names another place for it, " +
        "and { exclusion: 'handle' } does without",
    );
  }

  /** Undefined when the domain is gone again. */
  async #keep(): Promise<NativeFile | undefined> {
    const outcome = await this.#ask({
      op: "acquire",
      path: `${this.#path}/${KEEP_NAME}`,
      flags: constants.O_RDONLY | constants.O_CREAT,
      // whoever may use the domain may keep it
      mode: 0o644,
      range: 0,
    });
    if (outcome.file) return outcome.file;
    if (outcome.errno === ENOENT && this.#options.create) return undefined;
    throw this.#failure(outcome);
  }

  #failure(outcome: NativeOpenerEvent, hint?: string): Error {
    const subject = { path: this.#path, domain: this.#options.name, stack: this.#stack };
    return dlmfsError(outcome.errno, outcome.syscall, subject, hint);
  }

  /** Asks the opener; an abort rejects at once, and what comes after it is taken back. */
  #ask(request: NativeOpenerRequest): Promise<NativeOpenerEvent> {
    const { signal } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- whatever it is
        reject(signal.reason);
        return;
      }
      let over = false;
      const task = this.#opener.submit(request, {
        done: (outcome) => {
          stop();
          if (outcome instanceof Error) reject(outcome);
          else if (over) outcome.file?.close();
          else resolve(outcome);
        },
      });
      const stop = onAbort(signal, () => {
        over = true;
        task.care(false);
        task.cancel();
        reject(signal?.reason as Error);
      });
    });
  }
}

// Read permission on a directory lets its files be opened for reading, write permission lets them be made.
function fileBits(directoryBits: number): number {
  return (directoryBits & 2 ? 6 : 0) | (directoryBits & 4);
}

/** Removes the domain from this node. False: others use it. */
export async function removeDomain(opener: Opener, path: string, domain: string, stack: string): Promise<boolean> {
  const keep = await opener.perform({ op: "unlink", path: `${path}/${KEEP_NAME}`, name: "" });
  if (keep.errno !== 0 && keep.errno !== ENOENT && keep.errno !== EBUSY) {
    throw dlmfsError(keep.errno, keep.syscall, { path: `${path}/${KEEP_NAME}`, domain, stack });
  }
  const { errno, syscall } = await opener.perform({ op: "rmdir", path });
  if (errno === 0 || errno === ENOENT) return true;
  if (errno === ENOTEMPTY || errno === EBUSY) return false;
  throw dlmfsError(errno, syscall, { path, domain, stack });
}

/** The domains of a mount. */
export async function listDomains(opener: Opener, mount: string): Promise<string[]> {
  await inspectMount(mount);
  const outcome = await opener.perform({ op: "list", path: mount });
  if (outcome.errno !== 0) throw dlmfsError(outcome.errno, outcome.syscall, { path: mount });
  return outcome.names ?? [];
}

/** @internal */
export function closedError(name: string): LockStateError {
  return new LockStateError("ERR_DOMAIN_CLOSED", `the domain '${name}' was closed`);
}
