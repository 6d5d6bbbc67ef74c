// Where things are: the package's own data files and the user's cache.

import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { LabError } from "./errors";

/** The package's root: this file is lib/lab/paths.ts or dist/lab/paths.js. */
export const packageRoot: string = path.resolve(__dirname, "..", "..");

export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_CACHE_HOME;
  // the XDG specification says that a relative path is to be ignored
  const root = base !== undefined && path.isAbsolute(base) ? base : path.join(os.homedir(), ".cache");
  return path.join(root, "clusterlock");
}

export function tempRoot(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.TMPDIR;
  return base !== undefined && path.isAbsolute(base) ? base : "/tmp";
}

// a unix socket's path has 108 bytes
const MAX_LENGTH = 60;

/** Where the directories of running labs are. */
export function labRoot(): string {
  const wanted = tempRoot();
  return wanted.length > MAX_LENGTH ? "/tmp" : wanted;
}

const LAB_PREFIX = "clusterlock-lab-";

export function labDirectory(name: string): string {
  return path.join(labRoot(), `${LAB_PREFIX}${name}`);
}

/** The name of the lab that the directory is of, if it is one's. */
export function labNameOf(directory: string): string | undefined {
  const name = path.basename(directory);
  return name.startsWith(LAB_PREFIX) ? name.slice(LAB_PREFIX.length) : undefined;
}

/** Where programs in a node of the QEMU lab find the lab: the agent there carries each connection to it. */
export const NODE_LAB_SOCKET = "/run/clusterlock/lab.sock";

/** The socket in a lab's directory on which it answers. */
export const LAB_SOCKET_NAME = "lab.sock";

let version: string | undefined;

export function packageVersion(): string {
  version ??= (JSON.parse(readFileSync(path.join(packageRoot, "package.json"), "utf8")) as { version: string }).version;
  return version;
}

// file systems that every node has its own of
const NOT_SHARED = /^\/(?:run|dev|proc|sys)(?:\/|$)/;

export function currentDirectory(): string {
  try {
    return process.cwd();
  } catch {
    throw new LabError("the current directory is gone: change to one that exists");
  }
}

/** Where programs start in the nodes unless they are told otherwise: here. */
export function workingDirectory(): string {
  const directory = currentDirectory();
  if (NOT_SHARED.test(directory)) throw new LabError(`nodes do not see ${directory}: change to another directory`);
  return directory;
}
