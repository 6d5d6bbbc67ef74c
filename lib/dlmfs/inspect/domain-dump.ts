import { access } from "node:fs/promises";

import { checkObject, checkSignal } from "../../checks";
import { invalidType } from "../../errors";
import type { Problem } from "../../fs-dlm/inspect/problems";
import { readText } from "../../fs-dlm/inspect/reading";
import { readResourceName } from "../../fs-dlm/inspect/resource-names";
import { ROOTS } from "../../fs-dlm/inspect/roots";

import type { DomainDump, DomainResource, DomainStack, OpenFile } from "./dump";
import { readFsDlm } from "./fs-dlm";
import { checkDomain } from "./names";
import { o2dlmDirectory, readO2dlm } from "./o2dlm/read";
import { type OpenFiles, openFilesOf } from "./open-files";

export interface DomainDumpOptions {
  /** Looks for open files through this mount point only. Default: all ocfs2_dlmfs mounts of this process. */
  mount?: string | undefined;
  /** Looks up in /proc who of this node has lock files open. Default true. */
  openFiles?: boolean | undefined;
  /** Gives up reading. */
  signal?: AbortSignal | undefined;
}

/**
 * The locks of a domain as this node's kernel lists them: its own, and those of other nodes on resources that it masters.
 * Reads debugfs, which is root's, and /proc, in libuv's threads; never looks at the mount, where that could wait for
 * another node, and writes nothing. The domain may be any that this node has joined: an ocfs2 volume's too.
 *
 * On both stacks the kernel's locks stay when the last file is closed: a lock listed as granted is held or merely cached,
 * and only its own node can tell, by `openFiles`.
 *
 * @returns what could be read; `problems` says what could not, and why
 * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
 */
export async function domainDump(name: string, options?: DomainDumpOptions): Promise<DomainDump> {
  return dumpOf(name, options);
}

/** @param wanted the only resource to keep, as Latin-1 */
export async function dumpOf(
  name: string,
  options: DomainDumpOptions | undefined,
  wanted?: string,
): Promise<DomainDump> {
  const domain = checkDomain(name);
  const { mount, openFiles, signal } = check(options);
  signal?.throwIfAborted();
  const problems: Problem[] = [];
  const stack = await stackOf(domain, problems);
  if (stack === undefined) return nothing(domain, problems);
  const read = stack === "o2cb" ? readO2dlm : readFsDlm;
  const dump: DomainDump = { domain, stack, ...(await read(domain, wanted, signal, problems)), problems };
  if (openFiles && dump.resources) {
    const files = await openFilesOf(domain, mount, signal, problems);
    for (const resource of dump.resources) {
      resource.openFiles = files && openIn(files, resource);
    }
  }
  return dump;
}

/** Which lock manager the mount stands on; it cannot be changed while a domain is joined. */
async function stackOf(domain: string, problems: Problem[]): Promise<DomainStack | undefined> {
  const found: Problem[] = [];
  const label = await readText(`${ROOTS.sysfs}/fs/ocfs2/cluster_stack`, found);
  if (label !== undefined) return label === "o2cb" ? "o2cb" : "fs/dlm";
  // an ocfs2 volume's lock manager can be loaded without the modules that dlmfs brings
  const directory = o2dlmDirectory(domain);
  const error = await access(directory).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (error === undefined) return "o2cb";
  const hint = "ocfs2_dlmfs is not there: modprobe ocfs2_dlmfs, and set its cluster stack up";
  problems.push(...found.map((problem) => ({ ...problem, hint })));
  return undefined;
}

function openIn(files: OpenFiles, { name, nameComplete }: DomainResource): OpenFile[] | undefined {
  // whose files these are nobody can say of a name that was cut
  return nameComplete ? (files.get(Buffer.from(readResourceName(name)).toString("latin1")) ?? []) : undefined;
}

interface Checked {
  mount: string | undefined;
  openFiles: boolean;
  signal: AbortSignal | undefined;
}

function check(options: unknown): Checked {
  const { mount, openFiles = true, signal } = checkObject(options);
  if (mount !== undefined && typeof mount !== "string") throw invalidType("options.mount", "a string", mount);
  if (typeof openFiles !== "boolean") throw invalidType("options.openFiles", "a boolean", openFiles);
  return { mount, openFiles, signal: checkSignal(signal) };
}

function nothing(domain: string, problems: Problem[]): DomainDump {
  return {
    ...{ domain, stack: undefined, node: undefined, members: undefined, resources: undefined, recovery: undefined },
    ...{ o2dlm: undefined, inFlight: undefined, problems },
  };
}
