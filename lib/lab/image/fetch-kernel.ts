// Kernels of other versions than the lab's own, for LabOptions.kernel.

import { LabOptionError } from "../errors";
import { cacheRoot } from "../paths";
import { knownKernels } from "./apt";
import type { PackageVersion } from "./apt-output";
import { Cache } from "./cache";
import { kernelEntry } from "./kernel-package";

export interface FetchKernelOptions {
  readonly signal?: AbortSignal;
  /** Told what is going on, one line a call. Default: nobody is told. */
  readonly onProgress?: (line: string) => void;
}

/**
 * Fetches the newest kernel of a version ("6.12", "6.12.117+deb12", or a package's name) from this machine's package
 * sources into the cache, and returns its directory.
 */
export async function fetchKernel(version: string, options: FetchKernelOptions = {}): Promise<string> {
  const { signal = new AbortController().signal, onProgress = (): void => undefined } = options;
  const pkg = pickKernel(await knownKernels(signal), version);
  return kernelEntry(new Cache(cacheRoot(), signal, onProgress), pkg, signal);
}

/** Anything but these two flavours, and signed: what linux-image-amd64 would bring. */
const UNUSUAL = /-(?:cloud|rt)-amd64|-unsigned$/;

export function pickKernel(all: readonly PackageVersion[], wanted: string): PackageVersion {
  const exact = all.find(({ name }) => name === wanted);
  if (exact !== undefined) return exact;
  const usual = all.filter(({ name }) => !UNUSUAL.test(name)).sort(newestFirst);
  // a metapackage like linux-image-6.12-amd64 means the newest as well
  const version = release(wanted);
  const newest = usual.find((pkg) => isVersion(release(pkg.name), version) || isVersion(pkg.version, version));
  if (newest !== undefined) return newest;
  const known = usual.map(({ name }) => release(name)).join(", ");
  throw new LabOptionError(
    known === ""
      ? `there is no kernel ${wanted}: apt's sources hold none at all, main must be enabled`
      : `there is no kernel ${wanted} in apt's sources; there are ${known}`,
  );
}

function release(name: string): string {
  return name.replace(/^linux-image-/, "").replace(/-amd64$/, "");
}

/** 6.1 stands for 6.1.0-56 and not for 6.12. */
function isVersion(version: string, wanted: string): boolean {
  return (
    version === wanted || (wanted !== "" && version.startsWith(wanted) && /^[.+~-]/.test(version.slice(wanted.length)))
  );
}

function newestFirst(a: PackageVersion, b: PackageVersion): number {
  return release(b.name).localeCompare(release(a.name), "en", { numeric: true });
}
