// Debian's package manager as a source of files. Nothing is installed, and no root is needed.

import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";

import { LabError } from "../errors";
import type { PackageVersion } from "./apt-output";
import { kernelPackage, kernelPartNames, plannedInstalls, shownPackages, shownVersion } from "./apt-output";
import { command, CommandError } from "./command";
import { isDiskFull } from "./disk-full";

const LISTS = "/var/lib/apt/lists";
const STATUS = "/var/lib/dpkg/status";

/** What an image is made from. */
export interface Plan {
  readonly kernel: PackageVersion;
  readonly busybox: PackageVersion;
  readonly packages: readonly PackageVersion[];
}

/** Changes whenever apt's answer to `resolvePlan` may have changed. */
export interface HostState {
  readonly dpkg: string;
  readonly lists: string;
}

export async function hostState(): Promise<HostState> {
  const status = await dpkgStatus();
  const lists = await stat(LISTS).catch(() => undefined);
  return {
    dpkg: `${status.mtimeMs}:${status.size}`,
    lists: (await haveLists()) ? String(lists?.mtimeMs) : "none",
  };
}

async function dpkgStatus(): Promise<Stats> {
  return stat(STATUS).catch(() => {
    throw new LabError("this is not a Debian system (no dpkg): the lab needs Debian 12");
  });
}

async function needLists(): Promise<void> {
  if (!(await haveLists())) throw new LabError("apt knows no packages yet: run `apt-get update` (as root) once");
}

async function haveLists(): Promise<boolean> {
  const names = await readdir(LISTS).catch(() => []);
  return names.some((name) => name.includes("_Packages"));
}

/** What has to be fetched for a cluster node with these packages on top of this host's. */
export async function resolvePlan(wanted: readonly string[], signal: AbortSignal): Promise<Plan> {
  await needLists();
  const depends = await known("linux-image-amd64", command(["apt-cache", "depends", "linux-image-amd64"], { signal }));
  const kernel = kernelPackage(depends);
  if (kernel === undefined) throw new LabError("apt's linux-image-amd64 names no kernel: is this Debian 12 on x86-64?");
  const simulate = ["apt-get", "install", "-s", "--no-install-recommends", ...wanted];
  const [kernelShown, busyboxShown, simulation] = await Promise.all([
    known(kernel, command(["apt-cache", "show", "--no-all-versions", kernel], { signal })),
    known("busybox-static", command(["apt-cache", "show", "--no-all-versions", "busybox-static"], { signal })),
    known("the node's packages", command(simulate, { signal })),
  ]);
  return {
    kernel: { name: kernel, version: shownVersion(kernelShown) ?? "unknown" },
    busybox: { name: "busybox-static", version: shownVersion(busyboxShown) ?? "unknown" },
    packages: plannedInstalls(simulation),
  };
}

/** Every kernel in apt's sources, of all flavours, and no metapackage. */
export async function knownKernels(signal: AbortSignal): Promise<PackageVersion[]> {
  await dpkgStatus();
  await needLists();
  const pattern = "^linux-image-[0-9]+[.][0-9]+[.][0-9].*-amd64(-unsigned)?$";
  const found = await known("kernels", command(["apt-cache", "search", "--names-only", pattern], { signal }));
  const names = [...found.matchAll(/^(linux-image-\S+) - /gm)].map((match) => match[1] ?? "");
  if (names.length === 0) return [];
  return shownPackages(
    await known("kernels", command(["apt-cache", "show", "--no-all-versions", ...names], { signal })),
  );
}

/** The packages that a kernel consists of: newer ones come in parts. */
export async function kernelParts(kernel: PackageVersion, signal: AbortSignal): Promise<PackageVersion[]> {
  const depends = await known(kernel.name, command(["apt-cache", "depends", kernel.name], { signal }));
  // parts of one source have one version
  return [kernel, ...kernelPartNames(depends).map((name) => ({ name, version: kernel.version }))];
}

async function known(what: string, answer: Promise<string>): Promise<string> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const reason = /^E: (.*)$/m.exec(error.stderr)?.[1] ?? error.message;
    throw new LabError(
      `apt cannot resolve ${what} (${reason}): run \`apt-get update\` (as root), main must be enabled`,
    );
  }
}

/** Downloads packages into a directory and returns their files. */
export async function download(
  packages: readonly PackageVersion[],
  directory: string,
  signal: AbortSignal,
): Promise<string[]> {
  if (packages.length === 0) return [];
  // as root apt would drop to a user that cannot write our directory
  const sandbox = process.getuid?.() === 0 ? ["-o", "APT::Sandbox::User=root"] : [];
  const names = packages.map(({ name, version }) => `${name}=${version}`);
  try {
    await command(["apt-get", ...sandbox, "-q", "download", ...names], { signal, cwd: directory });
  } catch (error) {
    if (!(error instanceof CommandError) || isDiskFull(error)) throw error;
    const reason = /^E: (.*)$/m.exec(error.stderr)?.[1] ?? error.message;
    throw new LabError(`apt-get download failed (${reason}): check the network, run \`apt-get update\` (as root)`);
  }
  const files = (await readdir(directory)).filter((name) => name.endsWith(".deb")).sort();
  if (files.length !== packages.length) {
    throw new LabError(`apt-get download brought ${files.length} files for ${packages.length} packages`);
  }
  return files.map((name) => path.join(directory, name));
}
