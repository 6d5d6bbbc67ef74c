// The status for people, in 100 columns.

import type { DaemonStatus, LogStatus } from "../../clog/daemon/status";

export function printStatus(status: DaemonStatus): string {
  const { pid, version, uptime, state, protection, counts, warnings, troubles, requests, logs, linesDropped } = status;
  const guards = [
    protection.lockMemory ? "memory locked" : "memory not locked",
    protection.ioFlusher ? "I/O flusher" : "no I/O flusher",
    `oom_score_adj ${protection.oomScoreAdj}`,
  ];
  const met = Object.entries(troubles).map(([kind, count]) => `${kind} ${count}`);
  const lines = [
    `clogd ${version}, process ${pid}, ${state}, up ${duration(uptime)}; ${guards.join(", ")}`,
    `requests: ${counts.fast} answered at once, ${counts.slow} by JavaScript; asked again ${counts.retries}, ` +
      `joined ${counts.coalesced}`,
    `lost: ${counts.overruns} overruns, ${counts.dropped} datagrams dropped, ${linesDropped} lines without a reader`,
    ...(met.length === 0 ? [] : [`troubles: ${met.join(", ")}`]),
    ...warnings.map((text) => `WARNING: ${text}`),
    "",
    ...(logs.length === 0 ? ["no logs"] : logs.flatMap(block)),
  ];
  const rows = Object.entries(requests).map(([name, { count, p50, p99, max }]) => [name, count, p50, p99, max]);
  if (rows.length > 0) lines.push("", ...table([["microseconds", "count", "p50", "p99", "max"], ...rows]));
  return `${lines.join("\n")}\n`;
}

function block(log: LogStatus): string[] {
  const { uuid, luid, name, device, type, state, inSync, regions, percent, marked, dirty, health, legs } = log;
  const about = [device, type, state].filter((word) => word !== null);
  const facts =
    inSync === null
      ? `${regions} regions`
      : `${percent} % in sync (${inSync}/${regions} regions), ${marked} marked, ${dirty} dirty`;
  const devices = [
    ...(legs.length === 0 ? [] : [`legs ${legs.join(" ")}`]),
    ...(log.logDevice === null ? [] : [`log device ${log.logDevice}`]),
    `region ${log.regionSize / 2} KiB`,
  ];
  return [
    `${name ?? uuid}  ${about.join(", ")}`,
    `  ${facts}${health === null ? "" : `, ${HEALTH[health]}`}`,
    `  ${devices.join(", ")}`,
    `  ${uuid} ${luid}`,
  ];
}

const HEALTH = { A: "healthy", D: "LOG DEVICE FAILED", F: "FLUSH FAILED" } as const;

function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? String(cell).padEnd(widths[at] ?? 0) : String(cell).padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

function duration(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  // the two that matter
  const shown = first === -1 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}
