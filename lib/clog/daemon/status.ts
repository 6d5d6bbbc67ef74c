// What the daemon says of itself, to `clusterlock clogd status` and to programs.

import type { LogServerStatistics } from "../server/statistics";
import type { LogStatus as ServedLog } from "../server/status";

/** Microseconds, each the upper bound of what the histogram can tell apart; `max` is exact. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** As LogServer.statistics() has them. */
export type Counts = Omit<LogServerStatistics, "requests">;

/** One mirror's log. The names are stable. */
export interface LogStatus {
  readonly uuid: string;
  /** The kernel's number of this instance, in hexadecimal: "0xff304d91d8afe800". */
  readonly luid: string;
  readonly type: string;
  readonly args: readonly string[];
  /** `created`: its table is loaded; `active`: its mirror runs; `suspended`. */
  readonly state: "created" | "active" | "suspended";
  /** The mirror, when it was found. `device` is "MAJOR:MINOR". */
  readonly name: string | null;
  readonly device: string | null;
  /** Sectors of 512 bytes. */
  readonly length: number;
  readonly regionSize: number;
  readonly regions: number;
  /** Regions, or null when the log does not tell. */
  readonly inSync: number | null;
  readonly marked: number | null;
  readonly dirty: number | null;
  /** Of `regions`, rounded down to hundredths: 100 when all are in sync. */
  readonly percent: number | null;
  /** `A`: fine; `D`: the log device failed; `F`: a flush failed. */
  readonly health: "A" | "D" | "F" | null;
  /** "MAJOR:MINOR" */
  readonly legs: readonly string[];
  readonly logDevice: string | null;
}

/** The document of the status socket. The names are stable; more may come. */
export interface DaemonStatus {
  readonly pid: number;
  /** Of /proc/PID/stat: tells the process from a later one of the same number. */
  readonly startTicks: string;
  readonly version: string;
  /** Seconds since it began to serve. */
  readonly uptime: number;
  readonly directory: string;
  /** `stopping`: it answers the kernel no more. */
  readonly state: "serving" | "stopping";
  readonly protection: {
    readonly lockMemory: boolean;
    readonly ioFlusher: boolean;
    /** As the kernel has it. */
    readonly oomScoreAdj: number;
  };
  /** What is wrong now and needs somebody: foreign listeners, and places of the daemon on a mirror of its own. */
  readonly warnings: readonly string[];
  /** Zeros when it is stopping. */
  readonly counts: Counts;
  /** How often each kind of trouble was met since the start. */
  readonly troubles: Readonly<Record<string, number>>;
  /** Lines for standard error that found no reader. */
  readonly linesDropped: number;
  /** By request, of those that came. Microseconds from its receipt to its answer. */
  readonly requests: Readonly<Record<string, Latency>>;
  readonly logs: readonly LogStatus[];
}

export function logStatus(log: ServedLog): LogStatus {
  const { uuid, luid, type, args, state, device, length, regionSize, regionCount: regions, description } = log;
  return {
    uuid,
    luid: `0x${luid.toString(16)}`,
    type,
    args: [...args],
    state,
    name: device?.name ?? null,
    device: device === undefined ? null : `${device.major}:${device.minor}`,
    length,
    regionSize,
    regions,
    inSync: description?.inSync ?? null,
    marked: description?.marked ?? null,
    dirty: description?.dirty ?? null,
    percent: description === undefined ? null : percent(description.inSync, regions),
    health: description?.health ?? null,
    legs: [...(description?.legs ?? [])],
    logDevice: description?.logDevice ?? null,
  };
}

/** One line: "2 mirrors, 1 in sync, 1 recovering (57.25 %)". */
export function summary(logs: readonly LogStatus[]): string {
  const active = logs.filter(({ state }) => state === "active");
  if (logs.length === 0) return "no mirrors";
  const parts = [`${logs.length} ${logs.length === 1 ? "mirror" : "mirrors"}`];
  const behind = active.filter(({ inSync, regions }) => inSync !== null && inSync < regions);
  const failed = active.filter(({ health }) => health === "D" || health === "F");
  parts.push(`${active.length - behind.length} in sync`);
  if (behind.length > 0) {
    const least = Math.min(...behind.map(({ percent: value }) => value ?? 0));
    parts.push(`${behind.length} recovering (${least} %)`);
  }
  if (active.length < logs.length) parts.push(`${logs.length - active.length} not running`);
  if (failed.length > 0) parts.push(`${failed.length} with a failed device`);
  return parts.join(", ");
}

/** Of the requests that came. */
export function latencies(statistics: LogServerStatistics): Record<string, Latency> {
  const came = Object.entries(statistics.requests).filter(([, { count }]) => count > 0);
  return Object.fromEntries(
    came.map(([name, { count, latency }]) => [name, { count, p50: latency.p50, p99: latency.p99, max: latency.max }]),
  );
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 100 : Math.floor((part * 10_000) / whole) / 100;
}
