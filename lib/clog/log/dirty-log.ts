// What a dirty log is to the server, and what the server tells a log that is to be made.

import type { NativeRegions } from "../../native";

/** What the kernel's CTR names, or what a table that it is still using says. */
export interface LogIdentity {
  /** The log's name in every table that uses it, at most 128 characters. */
  readonly uuid: string;
  /** The kernel's own number of this instance (a table has one, and its successor another); 0n of the older protocol. */
  readonly luid: bigint;
}

/** The table line's words after the uuid, as `CTR` brings them. */
export interface LogArguments {
  /** `clustered-core`, `clustered-disk` or one of the user's. */
  readonly type: string;
  readonly args: readonly string[];
  /** Sectors (of 512 bytes) of the mirror. */
  readonly length: number;
}

/** How a log comes into being. */
export interface LogContext extends LogIdentity, LogArguments {
  /**
   * - `new`: a table is being loaded. Nothing is to be done to any device before `resume()`: the log's predecessor may be
   *   in use.
   * - `restored`: this server's predecessor was serving it, and `regions()` gives what it knew.
   * - `rebuilt`: the kernel is using it, and nobody knows any more what it has marked. What the log device calls clean is
   *   in sync; of everything else it has to be assumed that it is not.
   */
  readonly origin: "new" | "restored" | "rebuilt";
  /** Of a `restored` one: whether it was resumed when the predecessor ended. A `rebuilt` one is. */
  readonly resumed: boolean;
  /** Bits for so many regions, which the receive thread shares, and which outlive this process where the server has a
   * directory for that. To be called once. */
  regions(count: number, durable: boolean): NativeRegions;
  /** Another instance of the same uuid that has been resumed before, if there is one. */
  predecessor(): DirtyLog | undefined;
  /** To be called with what somebody should know about: becomes the server's event. */
  report(event: LogReport): void;
}

/** What a log reports by itself. */
export type LogReport =
  /** The log device failed. Marks cannot be made durable: the kernel holds writes until a table with
   * a log device that works is loaded, the same one again if that is the one, and the mirror was suspended and resumed. */
  | { kind: "log-device-failed"; device: string; error: Error }
  | { kind: "log-device-recovered"; device: string }
  /** Flushing a leg's cache failed. Nothing is called clean any more before the next resume. */
  | { kind: "leg-flush-failed"; device: string; error: Error }
  /** Which legs the mirror has could not be found out. Nothing is called clean any more before the next resume. */
  | { kind: "legs-unknown"; error: Error }
  /** The kernel could not write to a leg, or recover a region. It asks for it again after the next resume. */
  | { kind: "region-failed"; region: number }
  /** All regions are in sync. */
  | { kind: "in-sync" }
  /** Regions that the kernel will not recover before a suspend and a resume. */
  | { kind: "resync-blocked"; regions: number; hint: string };

/**
 * A dirty log: answers what the kernel asks of one (drivers/md/dm-log-userspace-base.c). Regions are 0 to
 * `regionCount` - 1. What a method throws becomes the request's error (the errno of a {@link ClogError}, else EIO).
 *
 * Every method may be called again with the same arguments, because the kernel asks again when an answer takes 15 s.
 */
export interface DirtyLog {
  /** Sectors: a power of two, 2 or more. The server refuses a log with another, which would crash the kernel. */
  readonly regionSize: number;
  /** The mirror's length divided by it, rounded up; below 2^32. */
  readonly regionCount: number;
  /** The log device as the table has it, for the kernel to count it among the mirror's. */
  readonly device?: string | undefined;
  /** When there are some, the receive thread answers from them from the end of `resume()` until `postsuspend()`. The methods
   * for single regions must then answer the same. */
  readonly shared?: NativeRegions | undefined;

  /** The mirror begins to run. What is on the log device holds from now on. */
  resume(): void | Promise<void>;
  /** The mirror stops recovering; writes are still going on. */
  presuspend(): void | Promise<void>;
  /** Nothing is going on any more. When it has ended, the log device is no longer touched. */
  postsuspend(): void | Promise<void>;
  /** The table is gone. The server closes the regions that it has given. */
  close(): void | Promise<void>;
  /** The server ends while the mirror goes on: let go of devices, change nothing. */
  detach?(): void | Promise<void>;

  /** Answered at once, and never with an error: the kernel takes one for "no". A region may only become in sync while it
   * is being recovered (`setRegionSync`) or at `resume()`. */
  inSync(region: number): boolean;
  isClean(region: number): boolean;
  mark(regions: readonly number[]): void | Promise<void>;
  clear(regions: readonly number[]): void | Promise<void>;
  /** When it has ended, what was marked is durable. Never waits for a recovery. */
  flush(): void | Promise<void>;
  /** A region to recover, or undefined. The same one again, until `setRegionSync` has come for it. */
  resyncWork(): number | undefined | Promise<number | undefined>;
  setRegionSync(region: number, inSync: boolean): void | Promise<void>;
  syncCount(): number;
  /** For `dmsetup status`: the number of words that follow, and the words. */
  status(): string;
  /** Whether another node is recovering the region, so that writes to it have to wait; and the first region that may still
   * be recovered by anybody before the next resume (`regionCount`: none). */
  remoteRecovering(region: number): { recovering: boolean; firstUnsynced: number };
  /** For people and programs: what `LogServer.logs()` shows of it. */
  describe?(): LogDescription;
}

/** What a log says of itself. */
export interface LogDescription {
  /** Regions. */
  inSync: number;
  marked: number;
  /** Regions that the log device does not call clean. */
  dirty: number;
  /** `A`: fine; `D`: the log device failed; `F`: a flush failed. */
  health: "A" | "D" | "F";
  /** Device numbers "MAJOR:MINOR". */
  legs: readonly string[];
  logDevice: string | undefined;
}

/** Makes a log of its type. What it throws fails the table's load. */
export type LogFactory = (context: LogContext) => DirtyLog | Promise<DirtyLog>;
