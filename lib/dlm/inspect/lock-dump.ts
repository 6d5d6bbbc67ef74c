import { setImmediate as nextTurn } from "node:timers/promises";

import { invalidType, invalidValue } from "../../errors";
import { checkLockspaceName } from "../names";
import { checkObject, checkSignal } from "../../checks";

import { assembleInFlight, assembleInactive, assembleResource } from "./assemble";
import type { DumpSource, DumpedResource, InFlight, InactiveResource, LockDump } from "./dump";
import { AllParser } from "./formats/all";
import { LocksParser } from "./formats/locks";
import type { RawResource } from "./formats/raw";
import { TossParser } from "./formats/toss";
import { WAITERS_SIZE, parseWaiters } from "./formats/waiters";
import { localNode } from "./node-id";
import { type Problem, debugfsProblem, formatProblem } from "./problems";
import { processesOf } from "./processes";
import { readChunks, readOnce } from "./reading";
import { ROOTS } from "./roots";

export interface LockDumpOptions {
  /**
   * Default "all". "locks" costs the kernel less, but has no value blocks, no requests that look for a master, and only
   * the beginning of names with a NUL in them.
   */
  source?: DumpSource | undefined;
  /** Also lists the resources without locks that this node remembers. Default false. */
  inactive?: boolean | undefined;
  /** Looks up the processes of this node's locks in /proc. Default true. */
  processes?: boolean | undefined;
  /** Gives up reading. */
  signal?: AbortSignal | undefined;
}

// After so many resources the event loop gets its turn.
const BATCH = 1000;

/**
 * The locks of a lockspace as this node's kernel lists them: its own, and those of other nodes on resources that it
 * masters. Reads debugfs, which is root's, and in libuv's threads; writes nothing, ever.
 *
 * @returns what could be read; `problems` says what could not, and why. `resources` is undefined if that is the locks.
 * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
 */
export async function lockDump(lockspace: string, options?: LockDumpOptions): Promise<LockDump> {
  return dumpOf(lockspace, options);
}

/** @param wanted the only resource to keep, as Latin-1 */
export async function dumpOf(name: string, options: LockDumpOptions | undefined, wanted?: string): Promise<LockDump> {
  const lockspace = checkLockspaceName(name);
  const { source, inactive, processes, signal } = check(options);
  signal?.throwIfAborted();
  const problems: Problem[] = [];
  const node = await localNode(problems);
  const base = `${ROOTS.debugfs}/dlm/${lockspace}`;
  const raw = await readResources(`${base}_${source}`, source, wanted, signal, problems);
  const resources = raw && (await assemble(raw, node));
  const flight = await readInFlight(`${base}_waiters`, new Set(raw?.map((resource) => resource.name)), problems);
  const forgotten = inactive ? await readInactive(`${base}_toss`, signal, problems) : undefined;
  if (processes && resources) await addProcesses(resources);
  return {
    lockspace,
    node,
    source,
    resources,
    inFlight: flight?.inFlight,
    inFlightTruncated: flight?.truncated ?? false,
    inactive: forgotten,
    problems,
  };
}

interface Checked {
  source: DumpSource;
  inactive: boolean;
  processes: boolean;
  signal: AbortSignal | undefined;
}

function check(options: unknown): Checked {
  const { source = "all", inactive = false, processes = true, signal } = checkObject(options);
  if (source !== "all" && source !== "locks") throw invalidValue("options.source", 'must be "all" or "locks"');
  if (typeof inactive !== "boolean") throw invalidType("options.inactive", "a boolean", inactive);
  if (typeof processes !== "boolean") throw invalidType("options.processes", "a boolean", processes);
  return { source, inactive, processes, signal: checkSignal(signal) };
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

function* ownLocks(resource: DumpedResource): Generator<DumpedResource["granted"][number], void, undefined> {
  for (const queue of [resource.granted, resource.converting, resource.waiting, resource.lookup]) {
    for (const lock of queue) if (lock.copy !== "master") yield lock;
  }
}

async function addProcesses(resources: readonly DumpedResource[]): Promise<void> {
  const tids = new Set<number>();
  for (const resource of resources) for (const lock of ownLocks(resource)) tids.add(lock.tid);
  const found = await processesOf(tids);
  for (const resource of resources) for (const lock of ownLocks(resource)) lock.process = found.get(lock.tid);
}
