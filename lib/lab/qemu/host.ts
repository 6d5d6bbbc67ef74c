// What the host must have before anything is tried. Each thing missing is one line with the way to mend it.

import { accessSync, constants, existsSync } from "node:fs";
import path from "node:path";

import { LabError } from "../errors";
import { command } from "../image/command";
import type { LabPlan } from "../options";
import { packageRoot } from "../paths";
import { QEMU } from "./args";

const TOOLS: Readonly<Record<string, string>> = {
  setpriv: "util-linux",
  flock: "util-linux",
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
  tar: "tar",
  gzip: "gzip",
  [QEMU]: "qemu-system-x86",
};

/** The compiled agent: nodes have no TypeScript loader. */
export const AGENT: string = path.join(packageRoot, "dist/lab/qemu/agent.js");

const MIB = 1024 * 1024;
/** What a QEMU process needs besides its node's memory. */
const OVERHEAD_MIB = 64;

export async function checkHost(options: LabPlan, signal: AbortSignal): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new LabError(`the lab needs Linux on x86-64, and this is ${process.platform} on ${process.arch}`);
  }
  for (const [tool, pkg] of Object.entries(TOOLS)) {
    if (!inPath(tool)) {
      throw new LabError(`${tool} is missing: apt-get install --no-install-recommends ${pkg} (as root)`);
    }
  }
  if (!existsSync(AGENT)) throw new LabError(`${AGENT} is missing: run \`npm run build:ts\` in ${packageRoot}`);
  const version = /version (\d+)\.(\d+)/.exec(await command([QEMU, "--version"], { signal }));
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  if (major < 7 || (major === 7 && minor < 2)) {
    throw new LabError(`QEMU ${major}.${minor} is too old: the lab needs 7.2 or later, as in Debian 12`);
  }
  const free = Math.floor(process.availableMemory() / MIB);
  const needed = options.nodes * (options.memory + OVERHEAD_MIB);
  if (free < needed) {
    throw new LabError(
      `${options.nodes} nodes of ${options.memory} MiB do not fit in the ${free} MiB of free memory: use --nodes or --memory`,
    );
  }
}

function inPath(tool: string): boolean {
  // an ordinary user's PATH has no sbin
  const directories = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];
  return directories.some((directory) => {
    try {
      accessSync(path.join(directory, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
