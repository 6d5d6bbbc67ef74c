import { checkObject, checkSignal } from "../../../checks";
import { invalidType, invalidValue } from "../../../errors";
import { writeResourceName } from "../../../fs-dlm/inspect/resource-names";
import { dumpOf } from "../domain-dump";
import type { DomainDump, DomainResource, Problem } from "../dump";
import { checkDomain, checkLock } from "../names";
import { findResource } from "../who-holds";

import { type WaitBlocker, blockersOf, requestOf } from "./blockers";
import { bounded } from "./bounded";
import type { WaitCause, WaitExplanation } from "./explanation";
import { sentenceOf } from "./sentence";
import { type SleepingTask, sleepsIn, taskOf } from "./task";

/** A request that waits, as `Domain.pending()` lists it. */
export interface WaitingRequest {
  /** The lock's name. */
  name: string;
  mode: "PR" | "EX";
  /** How long it has waited, in milliseconds. */
  sinceMs: number;
  /** "queued" in this process, "local" for other processes of this node, "kernel" in the open. */
  phase: "queued" | "local" | "kernel";
}

/** The thread of an opener that serves a request: a row of its status. */
export interface OpenerTask {
  tid: number;
  phase: "local" | "kernel";
}

export interface ExplainWaitOptions {
  /** The opener's process and, for {@link explainWait}, the row of its status that is about the request. */
  opener?: { pid: number; task?: OpenerTask | undefined } | undefined;
  /** Dumps of the same domain from other nodes: the master's tells whom the request waits for. */
  others?: readonly DomainDump[] | undefined;
  /** Looks for open files through this mount point only. Default: all ocfs2_dlmfs mounts of this process. */
  mount?: string | undefined;
  /** How long reading the kernel's lists, and the look at each thread, may take, in milliseconds. Default 2000. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** So many threads are looked at together. */
const AT_ONCE = 16;
const TIMEOUT_MS = 2000;
const TIMEOUT_MAX = 2 ** 31 - 1;

/**
 * What a request that does not come to an end waits for, and for whom. Reads debugfs and /proc, both of which answer
 * however deep the request itself sleeps, and never the mount. Needs root for more than the thread's state.
 *
 * Who holds a lock its master alone knows: of a lock that another node grants, this node's dump tells only that it waits.
 * Give the dumps of `others` to have the rest.
 *
 * @returns always; `problems` says what could not be found out
 * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
 */
export async function explainWait(
  domain: string,
  request: WaitingRequest,
  options?: ExplainWaitOptions,
): Promise<WaitExplanation> {
  checkDomain(domain);
  const asked = checkRequest(request);
  const given = check(options);
  const view = await look(domain, given, asked.name);
  return explain(view, asked, await taskIn(given, given.opener?.task));
}

/**
 * As {@link explainWait}, of many requests at once: what the kernel lists is read one time for all of them.
 *
 * @param requests each with the row of the opener's status that is about it
 * @throws {TypeError | RangeError} a wrong name or option; the signal's reason
 */
export async function explainWaits(
  domain: string,
  requests: readonly (WaitingRequest & { task?: OpenerTask | undefined })[],
  options?: ExplainWaitOptions,
): Promise<WaitExplanation[]> {
  checkDomain(domain);
  const todo = requests.map((request) => ({ asked: checkRequest(request), task: request.task }));
  const given = check(options);
  const view = await look(domain, given);
  const explanations: WaitExplanation[] = [];
  while (todo.length > 0) {
    const some = todo.splice(0, AT_ONCE);
    const tasks = await Promise.all(some.map(({ task }) => taskIn(given, task)));
    explanations.push(...some.map(({ asked }, index) => explain(view, asked, tasks[index])));
  }
  return explanations;
}

/** What is the same for all requests of a domain. */
interface View {
  domain: string;
  dump: DomainDump | undefined;
  others: readonly DomainDump[];
  problems: Problem[];
}

/** @param name the only lock of interest */
async function look(domain: string, { mount, timeout, signal, others = [] }: Checked, name?: string): Promise<View> {
  const wanted = name === undefined ? undefined : Buffer.from(name).toString("latin1");
  const dump = await bounded(timeout, signal, (limit) => dumpOf(domain, { mount, signal: limit }, wanted));
  const late: Problem = { path: domain, code: "ETIMEDOUT", hint: `the dump was not read within ${timeout} ms` };
  return {
    domain,
    dump,
    others: others.filter((other) => other.domain === domain),
    problems: dump?.problems ?? [late],
  };
}

async function taskIn(
  { opener, timeout, signal }: Checked,
  task: OpenerTask | undefined,
): Promise<SleepingTask | undefined> {
  if (!opener || task?.phase !== "kernel") return undefined;
  return bounded(timeout, signal, () => taskOf(opener.pid, task.tid));
}

function explain(
  { domain, dump, others, problems }: View,
  { name, mode, sinceMs, phase }: WaitingRequest,
  task: SleepingTask | undefined,
): WaitExplanation {
  const own = dump && findResource(dump, name);
  const view = own?.mastered ? own : (masterView(others, name) ?? own);
  const { cause, blockers } = phase === "kernel" ? judge(dump, own, view, mode, task) : { cause: phase, blockers: [] };
  const told = {
    ...{ domain, lock: writeResourceName(Buffer.from(name)), mode, waitedMs: sinceMs, cause, blockers, task },
    stack: dump?.stack,
    node: dump?.node,
    master: view?.master,
    complete: view !== undefined && view.mastered && !view.truncated,
    openFiles: own?.openFiles,
    recovery: dump?.recovery,
  };
  return { ...told, sentence: sentenceOf(told), problems };
}

function masterView(others: readonly DomainDump[], name: string): DomainResource | undefined {
  return others.map((other) => findResource(other, name)).find((resource) => resource?.mastered);
}

interface Judgement {
  cause: WaitCause;
  blockers: WaitBlocker[];
}

/**
 * @param own the resource as this node lists it
 * @param view as its master does; else `own`
 */
function judge(
  dump: DomainDump | undefined,
  own: DomainResource | undefined,
  view: DomainResource | undefined,
  mode: "PR" | "EX",
  task: SleepingTask | undefined,
): Judgement {
  const because = (cause: WaitCause, blockers: WaitBlocker[] = []): Judgement => ({ cause, blockers });
  const sleep = task && sleepsIn(task);
  if (dump?.o2dlm && !dump.o2dlm.alive.includes(dump.o2dlm.node)) return because("lost");
  if (sleep === "directory") return because("directory");
  if (dump && standsStill(dump, view)) return because("recovery");
  if (!dump?.resources) return because("unknown");
  const request = view && requestOf(view, dump.node, mode);
  const here = own && requestOf(own, dump.node, mode);
  if (view?.mastered && request) {
    const blockers = blockersOf(view, request, view === own ? dump.node : undefined);
    if (blockers.length > 0) return because("locks", blockers);
  }
  if (here?.awaits !== undefined || dump.inFlight?.some(({ resource }) => resource === own?.name))
    return because("answer");
  if (here && !view?.mastered) return because("master");
  if (here) return because("unlisted");
  // it has no lock in a queue as yet, and nobody knows where it will be
  if (own && (own.master === undefined || (own.o2dlm?.inflightLocks ?? 0) > 0)) return because("answer");
  if (sleep === "node") return because("answer");
  if (own && (own.openFiles?.length ?? 0) > 0) return because("own-files");
  return because(sleep === "elsewhere" ? "unknown" : "unlisted");
}

// On fs/dlm recovery halts all of a lockspace, on o2cb what the dead node mastered or had locks on.
function standsStill({ stack, recovery }: DomainDump, view: DomainResource | undefined): boolean {
  if (view?.recovering) return true;
  if (!recovery?.active) return false;
  return stack === "fs/dlm" || view?.master === undefined || view.master === recovery.deadNode;
}

function checkRequest(request: unknown): WaitingRequest {
  if (typeof request !== "object" || request === null) throw invalidType("request", "an object", request);
  const { name, mode, sinceMs, phase } = request as Record<string, unknown>;
  const lock = checkLock(name);
  if (mode !== "PR" && mode !== "EX") throw invalidValue("request.mode", 'must be "PR" or "EX"');
  if (typeof sinceMs !== "number") throw invalidType("request.sinceMs", "a number", sinceMs);
  if (phase !== "queued" && phase !== "local" && phase !== "kernel") {
    throw invalidValue("request.phase", 'must be "queued", "local" or "kernel"');
  }
  return { name: lock, mode, sinceMs, phase };
}

type Checked = ExplainWaitOptions & { timeout: number };

function check(options: unknown): Checked {
  const given = checkObject(options);
  const { timeout = TIMEOUT_MS, signal } = given;
  if (typeof timeout !== "number") throw invalidType("options.timeout", "a number", timeout);
  if (!(timeout >= 1 && timeout <= TIMEOUT_MAX)) {
    throw invalidValue("options.timeout", `is ${timeout}, and not between 1 and ${TIMEOUT_MAX} milliseconds`);
  }
  return { ...given, timeout, signal: checkSignal(signal) };
}
