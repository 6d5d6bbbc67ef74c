import { type RegionArguments, parseRegions } from "./arguments";
import type { LogContext, LogDescription, LogFactory } from "./dirty-log";
import { findDevice } from "./find-device";
import { RegionLog } from "./region-log";

const NOTHING = new Uint8Array(0);

/** @internal */
export interface CoreLogInternals {
  findDevice?: typeof findDevice;
}

/**
 * "clustered-core REGION_SIZE [sync|nosync]": a log in memory (dm-log.c: core). A table begins with nothing in sync, or with
 * everything of `nosync`. It outlives this process where the server has a directory, and not a reboot.
 */
export class CoreLog extends RegionLog {
  private constructor(context: LogContext, words: RegionArguments, internals: CoreLogInternals) {
    const regions = context.regions(words.regionCount, false);
    super(context, words, regions, internals.findDevice ?? findDevice);
    this.known = this.running = context.origin === "rebuilt" || context.resumed;
    if (context.origin === "restored") return;
    // of a mirror that is running already, nothing is known
    regions.load(NOTHING, 0, words.sync === "nosync" && !this.running);
    if (this.running) this.reportBlocked();
  }

  /** Throws a ClogError (EINVAL) for words that are no such log's. */
  static create(context: LogContext, internals: CoreLogInternals = {}): CoreLog {
    return new CoreLog(context, parseRegions(context.args, context.length), internals);
  }

  /**
   * What was in sync stays so, but for regions that are still marked: nothing is being written, so what was to be written
   * there may be on one leg only. The kernel's core log does not look at them (core_resume).
   */
  resume(): void {
    if (this.running) return;
    this.shared.load(NOTHING, 0, true, this.shared);
    this.resync.restart();
    this.known = this.running = true;
  }

  postsuspend(): void {
    this.running = false;
  }

  close(): void {
    this.running = false;
  }

  detach(): void {
    this.running = false;
  }

  setRegionSync(region: number, inSync: boolean): void {
    this.settle(region, inSync);
  }

  flush(): void {}

  status(): string {
    return `1 ${this.context.type}`;
  }

  describe(): LogDescription {
    const { inSync, marked } = this.known ? this.shared.counts() : { inSync: 0, marked: 0 };
    return { inSync, marked, dirty: 0, health: "A", legs: [], logDevice: undefined };
  }
}

/** Makes a {@link CoreLog}. */
export const coreLog: LogFactory = (context) => CoreLog.create(context);
