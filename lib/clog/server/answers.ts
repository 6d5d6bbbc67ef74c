// What a log says becomes what the kernel is told, so far as that harms neither the mirror nor the kernel.

import { constants } from "node:os";

import type { DirtyLog } from "../log/dirty-log";
import type { Answer, LogRequest, RequestName } from "../protocol/requests";

import { asError, errnoOf } from "./errno";
import type { LogTrouble } from "./events";
import type { LogInstance } from "./instance";
import { LOOKS } from "./occasions";
import { Refusal } from "./refusal";

const { EINVAL } = constants.errno;
const MARKED_AT_ONCE = 4096;

type Outcome = Answer | Refusal;

/** Answers what is neither a step of the log's life nor about its making. Never throws. */
export class Answers {
  readonly #trouble: (trouble: LogTrouble) => void;

  constructor(trouble: (trouble: LogTrouble) => void) {
    this.#trouble = trouble;
  }

  answer(instance: LogInstance, log: DirtyLog, { body }: LogRequest): Outcome | Promise<Outcome> {
    if (!LOOKS.has(body.name)) instance.presumed = false;
    try {
      switch (body.name) {
        case "IN_SYNC":
        case "IS_CLEAN":
          return { name: body.name, yes: this.#flag(instance, log, body.name, body.region) };
        case "MARK_REGION":
        case "CLEAR_REGION":
        case "FLUSH":
          return this.#change(instance, log, body.name, body.regions);
        case "SET_REGION_SYNC":
          return this.#setSync(instance, log, body.region, body.inSync);
        case "GET_RESYNC_WORK":
          return this.#later(instance, body.name, log.resyncWork(), (region) => ({
            name: "GET_RESYNC_WORK",
            region: this.#resyncRegion(instance, region),
          }));
        case "GET_SYNC_COUNT":
          return { name: body.name, count: this.#syncCount(instance, log) };
        case "GET_REGION_SIZE":
          return { name: body.name, size: instance.regionSize };
        case "STATUS_INFO":
          return { name: body.name, text: this.#text(log.status()) };
        case "STATUS_TABLE":
          return { name: body.name, text: tableText(instance) };
        case "IS_REMOTE_RECOVERING":
          return this.#remoteRecovering(instance, log, body.region);
        default:
          throw new Error(`${body.name} is a step of the log's life`);
      }
    } catch (thrown) {
      return this.#failed(instance, body.name, thrown);
    }
  }

  /** Whatever is in sync may be about to be written. Throws what the log throws. */
  async markAll(instance: LogInstance, log: DirtyLog): Promise<void> {
    instance.marks++;
    let regions: number[] = [];
    for (let region = 0; region < instance.regionCount; region++) {
      if (log.inSync(region)) regions.push(region);
      if (regions.length < MARKED_AT_ONCE && region + 1 < instance.regionCount) continue;
      if (regions.length > 0) await log.mark(regions);
      regions = [];
    }
  }

  /** What a suspended log is asked all the same: the kernel's worker may come with the clears of the last writes. */
  answerAtRest({ body }: LogRequest): Outcome | undefined {
    switch (body.name) {
      case "CLEAR_REGION":
      case "SET_REGION_SYNC":
        return { name: body.name };
      case "FLUSH":
        return body.regions.length === 0 ? { name: body.name } : undefined;
      case "IS_CLEAN":
        return { name: body.name, yes: false };
      case "IS_REMOTE_RECOVERING":
        return { name: body.name, recovering: false, firstUnsynced: 0 };
      default:
        return undefined;
    }
  }

  #failed(instance: LogInstance, request: RequestName, thrown: unknown): Refusal {
    this.#tell(instance, { kind: "request-failed", request, error: asError(thrown) });
    return new Refusal(errnoOf(thrown));
  }

  #tell(
    { uuid, luid }: LogInstance,
    trouble:
      | { kind: "request-failed"; request: RequestName; error: Error }
      | { kind: "out-of-range"; request: RequestName; region: bigint }
      | { kind: "wrong-answer-prevented"; request: RequestName; reason: string },
  ): void {
    this.#trouble({ ...trouble, uuid, luid });
  }

  #later<T>(
    instance: LogInstance,
    request: RequestName,
    result: T | Promise<T>,
    then: (result: T) => Outcome,
  ): Outcome | Promise<Outcome> {
    if (!isPromise(result)) return then(result);
    return Promise.resolve(result)
      .then(then)
      .catch((thrown: unknown) => this.#failed(instance, request, thrown));
  }

  #region(instance: LogInstance, request: RequestName, region: bigint): number | undefined {
    if (region < BigInt(instance.regionCount)) return Number(region);
    this.#tell(instance, { kind: "out-of-range", request, region });
    return undefined;
  }

  // The kernel asks IN_SYNC twice for a write (drivers/md/dm-region-hash.c: dm_rh_get_state and __rh_alloc). With "no" and
  // then "yes" it writes to one leg only, and calls the region in sync afterwards.
  #flag(instance: LogInstance, log: DirtyLog, request: "IN_SYNC" | "IS_CLEAN", number: bigint): boolean {
    const region = this.#region(instance, request, number);
    if (region === undefined) return false;
    let yes = false;
    try {
      yes = ((request === "IN_SYNC" ? log.inSync(region) : log.isClean(region)) as unknown) === true;
    } catch (thrown) {
      this.#failed(instance, request, thrown);
    }
    if (request === "IS_CLEAN" || log.shared) return yes;
    if (!yes) instance.unsynced.add(region);
    else if (instance.unsynced.has(region)) {
      const reason = `region ${region} has become in sync without having been recovered`;
      this.#tell(instance, { kind: "wrong-answer-prevented", request, reason });
      return false;
    }
    return yes;
  }

  #change(
    instance: LogInstance,
    log: DirtyLog,
    name: "MARK_REGION" | "CLEAR_REGION" | "FLUSH",
    numbers: readonly bigint[],
  ): Outcome | Promise<Outcome> {
    const regions: number[] = [];
    for (const number of numbers) {
      const region = this.#region(instance, name, number);
      if (region === undefined) return new Refusal(EINVAL);
      regions.push(region);
    }
    const done = (): Answer => ({ name });
    if (name !== "CLEAR_REGION" && regions.length > 0) instance.marks++;
    if (name === "MARK_REGION") return this.#later(instance, name, log.mark(regions), done);
    if (name === "CLEAR_REGION") return this.#later(instance, name, log.clear(regions), done);
    if (regions.length === 0) return this.#later(instance, name, log.flush(), done);
    const marked = log.mark(regions);
    if (!isPromise(marked)) return this.#later(instance, name, log.flush(), done);
    return this.#later(
      instance,
      name,
      Promise.resolve(marked).then(() => log.flush()),
      done,
    );
  }

  #setSync(instance: LogInstance, log: DirtyLog, number: bigint, inSync: boolean): Outcome | Promise<Outcome> {
    const region = this.#region(instance, "SET_REGION_SYNC", number);
    if (region === undefined) return new Refusal(EINVAL);
    return this.#later(instance, "SET_REGION_SYNC", log.setRegionSync(region, inSync), () => {
      if (inSync) instance.unsynced.delete(region);
      return { name: "SET_REGION_SYNC" };
    });
  }

  #resyncRegion(instance: LogInstance, region: number | undefined): number | undefined {
    if (region === undefined || isIndex(region, instance.regionCount - 1)) return region;
    const reason = `region ${String(region)} to be recovered is none of the mirror's ${instance.regionCount}`;
    this.#tell(instance, { kind: "wrong-answer-prevented", request: "GET_RESYNC_WORK", reason });
    return undefined;
  }

  // "All" ends the kernel's recovery until the next resume, so it has to be true.
  #syncCount(instance: LogInstance, log: DirtyLog): number {
    const count = log.syncCount();
    if (isIndex(count, instance.regionCount)) return count;
    const reason = `${String(count)} of ${instance.regionCount} regions in sync`;
    this.#tell(instance, { kind: "wrong-answer-prevented", request: "GET_SYNC_COUNT", reason });
    return 0;
  }

  #text(text: unknown): string {
    if (typeof text === "string") return text.replaceAll("\0", "");
    throw new TypeError("status() has to return a string");
  }

  // Writes that wait for another node's recovery would keep a suspend from ending. An error makes them wait, too.
  #remoteRecovering(instance: LogInstance, log: DirtyLog, number: bigint): Outcome {
    const name = "IS_REMOTE_RECOVERING";
    const region = this.#region(instance, name, number);
    if (region === undefined) return new Refusal(EINVAL);
    let answer = { recovering: true, firstUnsynced: 0 };
    try {
      answer = log.remoteRecovering(region);
    } catch (thrown) {
      this.#failed(instance, name, thrown);
    }
    const { recovering, firstUnsynced } = answer;
    const known = isIndex(firstUnsynced, instance.regionCount);
    if (!known) {
      const reason = `${String(firstUnsynced)} is no region to begin at, of ${instance.regionCount}`;
      this.#tell(instance, { kind: "wrong-answer-prevented", request: name, reason });
    }
    return {
      name,
      recovering: (recovering as unknown) === true && instance.state === "active",
      firstUnsynced: known ? firstUnsynced : 0,
    };
  }
}

// Of whatever make.
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && "then" in value;
}

function isIndex(value: unknown, last: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= last;
}

// The older kernel puts it into its table as it is (dm-log-clustered.c: cluster_status).
function tableText({ flavour, words, parameters }: LogInstance): string {
  const args = flavour === "clog" ? words.slice(0, -1) : words.slice(2);
  return [parameters?.type, args.length, ...args].join(" ");
}
