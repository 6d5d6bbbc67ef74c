// One node's dump of a lockspace, from the files of debugfs.

import { setImmediate as nextTurn } from "node:timers/promises";

import { assembleInFlight, assembleInactive, assembleResource } from "./assemble";
import type { DumpSource, DumpedResource, InFlight, InactiveResource, LockDump } from "./dump";
import { AllParser } from "./formats/all";
import { LocksParser } from "./formats/locks";
import type { RawResource } from "./formats/raw";
import { TossParser } from "./formats/toss";
import { WAITERS_SIZE, parseWaiters } from "./formats/waiters";
import { localNode } from "./node-id";
import { type Problem, debugfsProblem, formatProblem } from "./problems";
import { readChunks, readOnce } from "./reading";
import { ROOTS } from "./roots";

export interface ReadDumpOptions {
  source: DumpSource;
  /** Also the resources without locks that this node remembers. */
  inactive: boolean;
  /** The only resource to keep, as Latin-1. */
  wanted: string | undefined;
  signal: AbortSignal | undefined;
}

// After so many resources the event loop gets its turn.
const BATCH = 1000;

/**
 * Whatever can be read of a lockspace's locks; without processes.
 *
 * @throws the signal's reason
 */
export async function readDump(lockspace: string, options: ReadDumpOptions): Promise<LockDump> {
  const { source, inactive, wanted, signal } = options;
  const problems: Problem[] = [];
  const node = await localNode(problems);
  const base = `${ROOTS.debugfs}/dlm/${lockspace}`;
  const raw = await readResources(`${base}_${source}`, source, wanted, signal, problems);
  const resources = raw && (await assemble(raw, node));
  const flight = await readInFlight(`${base}_waiters`, new Set(raw?.map((resource) => resource.name)), problems);
  return {
    lockspace,
    node,
    source,
    resources,
    inFlight: flight?.inFlight,
    inFlightTruncated: flight?.truncated ?? false,
    inactive: inactive ? await readInactive(`${base}_toss`, signal, problems) : undefined,
    problems,
  };
}

// A file that is parsed as it is read: the loop has its turn between any two pages of it.
async function parse<T>(
  path: string,
  parser: { push(text: string, nowNs: number): void; end(): T; readonly stranger: string | undefined },
  signal: AbortSignal | undefined,
  problems: Problem[],
): Promise<T | undefined> {
  try {
    for await (const text of readChunks(path, signal)) parser.push(text, Number(process.hrtime.bigint()));
  } catch (error) {
    signal?.throwIfAborted();
    problems.push(await debugfsProblem(path, error));
    return undefined;
  }
  const result = parser.end();
  if (parser.stranger !== undefined) problems.push(formatProblem(path, parser.stranger));
  return result;
}

async function readResources(
  path: string,
  source: DumpSource,
  wanted: string | undefined,
  signal: AbortSignal | undefined,
  problems: Problem[],
): Promise<RawResource[] | undefined> {
  const parser = source === "all" ? new AllParser(wanted) : new LocksParser(wanted);
  return parse(path, parser, signal, problems);
}

async function assemble(raw: readonly RawResource[], node: number | undefined): Promise<DumpedResource[]> {
  const resources: DumpedResource[] = [];
  for (const resource of raw) {
    if (resources.length % BATCH === BATCH - 1) await nextTurn();
    resources.push(assembleResource(resource, node));
  }
  return resources;
}

async function readInFlight(
  path: string,
  known: ReadonlySet<string>,
  problems: Problem[],
): Promise<{ inFlight: InFlight[]; truncated: boolean } | undefined> {
  try {
    // Printed anew for each read: what a second one gave would not be the first one's end.
    const { waiters, truncated } = parseWaiters(await readOnce(path, 2 * WAITERS_SIZE), known);
    return { inFlight: waiters.map(assembleInFlight), truncated };
  } catch (error) {
    problems.push(await debugfsProblem(path, error));
    return undefined;
  }
}

async function readInactive(
  path: string,
  signal: AbortSignal | undefined,
  problems: Problem[],
): Promise<InactiveResource[] | undefined> {
  const raw = await parse(path, new TossParser(), signal, problems);
  return raw?.map(assembleInactive);
}
