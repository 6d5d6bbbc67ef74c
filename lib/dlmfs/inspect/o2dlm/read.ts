// A domain on o2cb, from the files of debugfs.

import { readFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";

import { type Problem, debugfsProblem, formatProblem } from "../../../fs-dlm/inspect/problems";
import { readChunks } from "../../../fs-dlm/inspect/reading";
import { ROOTS } from "../../../fs-dlm/inspect/roots";
import type { DomainDump, DomainResource } from "../dump";

import { assembleO2dlm } from "./assemble";
import { type O2dlmState, parseDlmState } from "./dlm-state";
import { LockingStateParser } from "./locking-state";

const O2DLM = {
  directory: "o2dlm",
  unloaded: "the kernel module ocfs2_dlm is not loaded, or was built without debugfs",
  absent: "this node has not joined that domain",
};

// After so many resources the event loop gets its turn.
const BATCH = 1000;

export const o2dlmDirectory = (domain: string): string => `${ROOTS.debugfs}/${O2DLM.directory}/${domain}`;

/** @param wanted the only resource to keep, as Latin-1 */
export async function readO2dlm(
  domain: string,
  wanted: string | undefined,
  signal: AbortSignal | undefined,
  problems: Problem[],
): Promise<Pick<DomainDump, "node" | "members" | "resources" | "recovery" | "o2dlm" | "inFlight">> {
  const o2dlm = await readState(`${o2dlmDirectory(domain)}/dlm_state`, problems);
  const node = o2dlm?.node;
  const resources = await readResources(`${o2dlmDirectory(domain)}/locking_state`, node, wanted, signal, problems);
  return { node, members: o2dlm?.members, resources, recovery: o2dlm && recoveryOf(o2dlm), o2dlm, inFlight: undefined };
}

function recoveryOf({ recovery }: O2dlmState): DomainDump["recovery"] {
  const { active, deadNode, master, pending } = recovery;
  // between the end of a node and the thread's look at it there is only the map
  const dead = deadNode ?? pending[0];
  return { active: active || dead !== undefined, deadNode: dead, master, waitsFor: undefined };
}

async function readState(path: string, problems: Problem[]): Promise<O2dlmState | undefined> {
  try {
    const text = await readFile(path, "latin1");
    const state = parseDlmState(text);
    if (!state) problems.push(formatProblem(path, text));
    return state;
  } catch (error) {
    problems.push(await debugfsProblem(path, error, O2DLM));
    return undefined;
  }
}

// The kernel hands out one resource for each read.
async function readResources(
  path: string,
  node: number | undefined,
  wanted: string | undefined,
  signal: AbortSignal | undefined,
  problems: Problem[],
): Promise<DomainResource[] | undefined> {
  const parser = new LockingStateParser(wanted);
  try {
    for await (const text of readChunks(path, signal)) {
      parser.push(text);
      if (parser.satisfied) break;
    }
  } catch (error) {
    signal?.throwIfAborted();
    problems.push(await debugfsProblem(path, error, O2DLM));
    return undefined;
  }
  const resources: DomainResource[] = [];
  for (const raw of parser.end()) {
    if (resources.length % BATCH === BATCH - 1) await nextTurn();
    resources.push(assembleO2dlm(raw, node));
  }
  if (parser.stranger !== undefined) problems.push(formatProblem(path, parser.stranger));
  return resources;
}
