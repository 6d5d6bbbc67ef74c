import type { NativeRegions } from "../../native";

import type { RegionArguments } from "./arguments";
import type { DirtyLog, LogContext, LogDescription } from "./dirty-log";
import type { findDevice } from "./find-device";
import { kick } from "./kick";
import { Resync } from "./resync";

/** What logs of one node have in common: everything that memory answers. Nobody else recovers anything. */
export abstract class RegionLog implements DirtyLog {
  readonly regionSize: number;
  readonly regionCount: number;
  readonly shared: NativeRegions;
  protected readonly context: LogContext;
  protected readonly resync: Resync;
  /** Whether the mirror runs. */
  protected running = false;
  /** Whether what the regions say has been true of the mirror: not before the first resume. */
  protected known = false;
  readonly #find: typeof findDevice;

  protected constructor(
    context: LogContext,
    { regionSize, regionCount }: RegionArguments,
    regions: NativeRegions,
    find: typeof findDevice,
  ) {
    this.context = context;
    this.regionSize = regionSize;
    this.regionCount = regionCount;
    this.shared = regions;
    this.resync = new Resync(regions);
    this.#find = find;
  }

  abstract resume(): void | Promise<void>;
  abstract postsuspend(): void | Promise<void>;
  abstract close(): void | Promise<void>;
  /** The server ends, and the mirror goes on: lets go of devices, and changes nothing. */
  abstract detach(): void | Promise<void>;
  abstract setRegionSync(region: number, inSync: boolean): void | Promise<void>;
  abstract flush(): void | Promise<void>;
  abstract status(): string;
  abstract describe(): LogDescription;

  /** Nothing to do: the kernel has stopped asking for resync work by itself. */
  presuspend(): void {}

  inSync(region: number): boolean {
    return this.known && this.shared.inSync(region);
  }

  isClean(region: number): boolean {
    return this.known && this.shared.isClean(region);
  }

  mark(regions: readonly number[]): void {
    this.shared.mark(regions);
  }

  clear(regions: readonly number[]): void {
    this.shared.clear(regions);
  }

  resyncWork(): number | undefined {
    return this.running ? this.resync.next() : undefined;
  }

  /** What memory has of setRegionSync(). */
  protected settle(region: number, inSync: boolean): void {
    const news = this.shared.inSync(region) !== inSync;
    this.shared.setSync(region, inSync);
    if (this.resync.settle(region, inSync)) this.context.report({ kind: "region-failed", region });
    if (news && inSync && this.shared.counts().inSync === this.regionCount) this.context.report({ kind: "in-sync" });
  }

  /** 0 before the first resume: the kernel asks even then, and takes all for "resynchronised". */
  syncCount(): number {
    return this.known ? this.shared.counts().inSync : 0;
  }

  remoteRecovering(): { recovering: boolean; firstUnsynced: number } {
    return { recovering: false, firstUnsynced: this.known ? this.shared.nextUnsynced(0) : 0 };
  }

  /** Hands out no more work. The region that is being recovered is recovered to its end. */
  pauseResync(): void {
    this.resync.paused = true;
  }

  /** Lets the kernel ask again. */
  resumeResync(): void {
    if (!this.resync.paused) return;
    this.resync.paused = false;
    this.kick();
  }

  /** Of a mirror that was running already: the kernel may have taken all of it for in sync, and then asks no more. */
  protected reportBlocked(): void {
    const regions = this.regionCount - this.shared.counts().inSync;
    if (regions === 0) return;
    const hint = "dmsetup suspend --noflush NAME && dmsetup resume NAME";
    this.context.report({ kind: "resync-blocked", regions, hint });
    this.kick();
  }

  // not awaited: it lasts as long as the mirror is suspended
  protected kick(): void {
    if (this.running && this.shared.nextUnsynced(0) < this.regionCount) void kick(this.context.uuid, this.#find);
  }
}
