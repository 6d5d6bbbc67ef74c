// Table and status lines of dm mirrors, and what can be done to one with dmsetup.

import assert from "node:assert/strict";

/** A mirror, as a line of a table has it. Sizes are sectors of 512 bytes. */
export interface MirrorTable {
  readonly length: number;
  /** `clustered-*`: a userspace log; `disk` and `core`: the kernel's own. */
  readonly log: "clustered-core" | "clustered-disk" | "disk" | "core" | (string & {});
  /** Of a userspace log. */
  readonly uuid?: string;
  readonly integratedFlush?: boolean;
  /** Of a log on a disk: the device as the line spells it. */
  readonly device?: string | undefined;
  readonly regionSize: number;
  readonly sync?: "sync" | "nosync" | undefined;
  /** Device, or device and first sector. */
  readonly legs: readonly (string | readonly [string, number])[];
  readonly handleErrors?: boolean;
}

/** The log's words, without the mirror's. */
function logWords(table: MirrorTable): string[] {
  const { log, uuid, integratedFlush, device, regionSize, sync } = table;
  const own = [...(device === undefined ? [] : [device]), String(regionSize), ...(sync === undefined ? [] : [sync])];
  if (log === "disk" || log === "core") return [log, String(own.length), ...own];
  assert.ok(uuid !== undefined, "a userspace log has a uuid");
  const words = [uuid, ...(integratedFlush ? ["integrated_flush"] : []), log, ...own];
  return ["userspace", String(words.length), ...words];
}

/** The line that makes the kernel's table (drivers/md/dm-raid1.c: mirror_ctr). */
export function mirrorLine(table: MirrorTable): string {
  const legs = table.legs.map((leg) => (typeof leg === "string" ? `${leg} 0` : leg.join(" ")));
  const features = table.handleErrors ? ["1 handle_errors"] : [];
  return ["0", table.length, "mirror", ...logWords(table), legs.length, ...legs, ...features].join(" ");
}

/** What `dmsetup status` says of a mirror. */
export interface MirrorStatus {
  readonly legs: string[];
  /** Regions. */
  readonly inSync: number;
  readonly regions: number;
  /** A letter for each leg: A alive, D and F a failed write or flush, S a failed recovery, R a failed read. */
  readonly health: string;
  readonly log: {
    readonly type: string;
    /** MAJOR:MINOR, of a log on a disk. */
    readonly device?: string;
    readonly health?: string;
  };
}

/** Reads a status line as libdm does (libdm/libdm-targets.c: dm_get_status_mirror), and is as strict. */
export function parseStatus(line: string): MirrorStatus {
  const words = line.trim().split(/\s+/);
  const next = (): string => {
    const word = words.shift();
    assert.ok(word !== undefined, `the status line ends too early: ${line}`);
    return word;
  };
  const count = (): number => {
    const word = next();
    assert.match(word, /^\d+$/, `no number: ${line}`);
    return Number(word);
  };
  next();
  next();
  assert.equal(next(), "mirror", line);
  const legs = Array.from({ length: count() }, () => {
    const leg = next();
    assert.match(leg, /^\d+:\d+$/, line);
    return leg;
  });
  const [, inSync, regions] = /^(\d+)\/(\d+)$/.exec(next()) ?? assert.fail(`no sync count: ${line}`);
  assert.equal(count(), 1, line);
  const health = next();
  assert.equal(health.length, legs.length, line);
  let left = count();
  const type = next();
  if (--left === 0) {
    assert.deepEqual(words, [], line);
    return { legs, inSync: Number(inSync), regions: Number(regions), health, log: { type } };
  }
  assert.equal(left, 2, line);
  const device = next();
  assert.match(device, /^\d+:\d+$/, line);
  const log = { type, device, health: next() };
  assert.match(log.health, /^[ADF]$/, line);
  assert.deepEqual(words, [], line);
  return { legs, inSync: Number(inSync), regions: Number(regions), health, log };
}

/** The words that the kernel gives back of a table: every leg as MAJOR:MINOR, the log's as they were. */
export function tableWords(table: MirrorTable, legs: readonly string[]): string {
  return mirrorLine({
    ...table,
    legs: table.legs.map((leg, i) => [legs[i]!, typeof leg === "string" ? 0 : leg[1]] as const),
  });
}
