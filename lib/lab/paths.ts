// Where things are: the package's own data files and the user's cache.

import os from "node:os";
import path from "node:path";

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
