// Goes through a recording of a mirror's disks, and judges after each event what a power cut at that moment could leave:
// every state that DiskStates allows, of both legs and the log, in every combination.
//
// - `unsynced-clean`: the log may call a region clean whose legs may differ. It would not be resynchronised.
// - `unmarked-write`: a write to a leg comes while the log may call its region clean. Nothing is lost yet.
// - `lost-write`: a write that was acknowledged may be missing: from the first leg, which is what a resynchronisation copies,
//   or, where the log may call its region clean, from any.

import type { DiskEvent, Recording } from "../../../../lib/lab";

import type { Mark, Mirror } from "./blocks";
import { readMark, SECTORS_PER_BLOCK, versionOf } from "./blocks";
import { BITS_PER_SECTOR, FIRST_BITS, firstRegionOf, isClean, regionsOfHeader } from "./disk-log";
import { Contents, DiskStates, DisksOfRequests, SECTOR } from "./disk-states";

export type ViolationKind = "unsynced-clean" | "unmarked-write" | "lost-write";

export interface Violation {
  readonly kind: ViolationKind;
  /** The place in the recording after which a power cut would show it. */
  readonly at: number;
  readonly region: number;
  readonly text: string;
}

/** What the recording had in it: a check of nothing finds nothing. */
export interface Seen {
  /** Moments that were judged. */
  points: number;
  /** Marks and clears that the log has made certain. */
  marked: number;
  cleaned: number;
  legWrites: number;
  legFlushes: number;
  logWrites: number;
  logFlushes: number;
  acked: number;
  /** The most sectors of all three that could be one or another at a moment. */
  mostOpen: number;
  /** Places at which a mirror began, and named ones. */
  begun: number[];
  named: Map<string, number>;
}

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly seen: Seen;
}

/** Judges a recording while it grows. `marker` is the disk that the marks are on. */
export class Judge {
  readonly #states: States;
  readonly #check: Check;
  readonly #marker: number;
  readonly #disks = new DisksOfRequests();
  #at = 0;

  constructor(disks: number, marker: number) {
    this.#states = new States(disks);
    this.#check = new Check(this.#states);
    this.#marker = marker;
  }

  /** Goes on with the next events, and tells what is in them. */
  read(events: Iterable<DiskEvent>): Verdict {
    for (const event of events) {
      const at = this.#at++;
      const disk = this.#disks.of(event);
      if (disk !== this.#marker) {
        this.#check.before(at, disk, event);
        this.#check.changed(at, disk, this.#states.of(disk).take(event, at));
      } else if (event.kind === "write") this.#check.mark(at, readMark(event.data));
    }
    return this.#check.verdict();
  }
}

/** Judges all of a recording. */
export function judge(recording: Pick<Recording, "sizes" | "events">, marker: number): Verdict {
  return new Judge(recording.sizes.length, marker).read(recording.events());
}

/** What all disks of a recording may hold. */
export class States {
  readonly contents: Contents = new Contents();
  readonly #disks: readonly DiskStates[];

  constructor(count: number) {
    this.#disks = Array.from({ length: count }, () => new DiskStates(this.contents));
  }

  of(disk: number): DiskStates {
    const states = this.#disks[disk];
    if (states === undefined) throw new RangeError(`there is no disk ${disk}`);
    return states;
  }
}

class Check {
  readonly #states: States;
  #violations: Violation[] = [];
  /** Those that stand, so that each is told once. */
  readonly #standing = new Set<string>();
  #seen: Seen = nothingSeen();
  #mirror: Mirror | undefined;
  /** By region: the log may call it clean; it surely does; sectors whose legs may differ. */
  #maybeClean = new Uint8Array(0);
  #surelyClean = new Uint8Array(0);
  #unequal: Set<number>[] = [];
  /** By sector: the oldest version that may be there. */
  readonly #acked = new Map<number, number>();

  constructor(states: States) {
    this.#states = states;
  }

  /** Of what came since the last one. */
  verdict(): Verdict {
    const verdict = { violations: this.#violations, seen: this.#seen };
    this.#violations = [];
    this.#seen = nothingSeen();
    return verdict;
  }

  mark(at: number, mark: Mark): void {
    if ("acked" in mark) {
      for (const [block, version] of mark.acked) {
        this.#seen.acked++;
        for (let index = 0; index < SECTORS_PER_BLOCK; index++) {
          const sector = block * SECTORS_PER_BLOCK + index;
          this.#acked.set(sector, version);
          this.#checkAcked(at, sector);
        }
      }
    } else if ("mirror" in mark) this.#begin(at, mark.mirror ?? undefined);
    else this.#seen.named.set(mark.point, at);
  }

  /** Of an event that comes. */
  before(at: number, disk: number, event: DiskEvent): void {
    const mirror = this.#mirror;
    if (mirror === undefined) return;
    const isLog = disk === mirror.log;
    if (!isLog && !mirror.legs.includes(disk)) return;
    if (event.kind === "flush") this.#seen[isLog ? "logFlushes" : "legFlushes"]++;
    if (event.kind !== "write") return;
    this.#seen[isLog ? "logWrites" : "legWrites"]++;
    if (isLog) return;
    const [first, last] = [event.offset, event.offset + event.data.length - 1].map((byte) =>
      Math.floor(byte / SECTOR / mirror.regionSize),
    ) as [number, number];
    for (let region = first; region <= last; region++) {
      if (this.#maybeClean[region] !== 1) continue;
      const leg = mirror.legs.indexOf(disk);
      const text = `a write to leg ${leg} came when the log could still call its region ${region} clean`;
      this.#violations.push({ kind: "unmarked-write", at, region, text });
    }
  }

  changed(at: number, disk: number, sectors: readonly number[]): void {
    const mirror = this.#mirror;
    if (mirror === undefined) return;
    this.#seen.points++;
    if (disk === mirror.log) {
      if (sectors.some((sector) => sector < FIRST_BITS)) this.#readLog(at, 0, this.#maybeClean.length);
      else for (const sector of sectors) this.#readLog(at, firstRegionOf(sector), BITS_PER_SECTOR);
    } else if (mirror.legs.includes(disk)) {
      for (const sector of sectors) {
        if (sector >= mirror.length) continue;
        this.#compare(at, sector);
        this.#checkAcked(at, sector);
      }
    }
    if (sectors.length > 0 && this.#seen.points % 64 === 0) {
      const open = [...mirror.legs, mirror.log].reduce((sum, one) => sum + this.#states.of(one).open(), 0);
      this.#seen.mostOpen = Math.max(this.#seen.mostOpen, open);
    }
  }

  #begin(at: number, mirror: Mirror | undefined): void {
    this.#mirror = mirror;
    this.#standing.clear();
    if (mirror === undefined) {
      this.#acked.clear();
      return;
    }
    this.#seen.begun.push(at);
    const count = Math.ceil(mirror.length / mirror.regionSize);
    this.#maybeClean = new Uint8Array(count);
    this.#surelyClean = new Uint8Array(count);
    this.#unequal = Array.from({ length: count }, () => new Set());
    const touched = new Set(mirror.legs.flatMap((leg) => this.#states.of(leg).touched()));
    for (const sector of touched) if (sector < mirror.length) this.#compare(at, sector);
    this.#readLog(at, 0, count);
  }

  // the bits of some regions
  #readLog(at: number, from: number, count: number): void {
    const mirror = this.#mirror;
    if (mirror === undefined) return;
    const { contents } = this.#states;
    const log = this.#states.of(mirror.log);
    const headers = log.possible(0).map((content) => regionsOfHeader(contents.bytes(content)));
    const [most, least] = [Math.max(...headers), Math.min(...headers)];
    const end = Math.min(from + count, this.#maybeClean.length);
    for (let region = from; region < end;) {
      const sector = FIRST_BITS + Math.floor(region / BITS_PER_SECTOR);
      const first = firstRegionOf(sector);
      const bits = log.possible(sector).map((content) => contents.bytes(content));
      for (; region < Math.min(end, first + BITS_PER_SECTOR); region++) {
        const maybe = region < most && bits.some((bytes) => isClean(bytes, region - first));
        const surely = region < least && bits.every((bytes) => isClean(bytes, region - first));
        if (this.#maybeClean[region] === 1 && !maybe) this.#seen.marked++;
        if (this.#surelyClean[region] === 0 && surely) this.#seen.cleaned++;
        this.#surelyClean[region] = Number(surely);
        if (this.#maybeClean[region] === Number(maybe)) continue;
        this.#maybeClean[region] = Number(maybe);
        this.#checkRegion(at, region);
        if (maybe) for (const one of this.#sectorsOf(region)) this.#checkAcked(at, one);
      }
    }
  }

  // the legs, at a sector
  #compare(at: number, sector: number): void {
    const mirror = this.#mirror;
    if (mirror === undefined) return;
    const region = Math.floor(sector / mirror.regionSize);
    const [one, other] = mirror.legs.map((leg) => this.#states.of(leg).possible(sector));
    const same = one?.length === 1 && other?.length === 1 && one[0] === other[0];
    const unequal = this.#unequal[region];
    if (same) unequal?.delete(sector);
    else unequal?.add(sector);
    this.#checkRegion(at, region);
  }

  #checkRegion(at: number, region: number): void {
    const [sector] = this.#unequal[region] ?? [];
    const bad = sector !== undefined && this.#maybeClean[region] === 1;
    this.#tell(bad, { kind: "unsynced-clean", at, region, text: "" }, String(region), () => {
      const [one, other] = (this.#mirror?.legs ?? []).map((leg) => this.#describe(leg, sector ?? 0));
      return `the log may call region ${region} clean, and sector ${sector} may be ${one} on leg 0 and ${other} on leg 1`;
    });
  }

  #checkAcked(at: number, sector: number): void {
    const mirror = this.#mirror;
    const wanted = this.#acked.get(sector);
    if (mirror === undefined || wanted === undefined) return;
    const region = Math.floor(sector / mirror.regionSize);
    for (const [leg, disk] of mirror.legs.entries()) {
      const counts = leg === 0 || this.#maybeClean[region] === 1;
      const versions = counts ? this.#versions(disk, sector) : [];
      const bad = versions.some((version) => version < wanted);
      this.#tell(bad, { kind: "lost-write", at, region, text: "" }, `${leg} ${sector}`, () => {
        const block = Math.floor(sector / SECTORS_PER_BLOCK);
        return (
          `version ${wanted} of block ${block} was acknowledged, and its sector ${sector} may be ` +
          `${this.#describe(disk, sector)} on leg ${leg}` +
          (leg === 0 ? "" : `, and the log may call region ${region} clean`)
        );
      });
    }
  }

  // once, as long as it stands
  #tell(bad: boolean, violation: Violation, what: string, text: () => string): void {
    const key = `${violation.kind} ${what}`;
    if (!bad) this.#standing.delete(key);
    else if (!this.#standing.has(key)) {
      this.#standing.add(key);
      this.#violations.push({ ...violation, text: text() });
    }
  }

  #versions(disk: number, sector: number): number[] {
    const { contents } = this.#states;
    return this.#states
      .of(disk)
      .possible(sector)
      .map((content) => versionOf(contents.bytes(content), sector));
  }

  #describe(disk: number, sector: number): string {
    const versions = this.#versions(disk, sector).map((version) => (version === 0 ? "without" : String(version)));
    return `version ${versions.join(" or ")}`;
  }

  *#sectorsOf(region: number): Generator<number, void> {
    const { regionSize = 0, length = 0 } = this.#mirror ?? {};
    const end = Math.min((region + 1) * regionSize, length);
    for (let sector = region * regionSize; sector < end; sector++) yield sector;
  }
}

function nothingSeen(): Seen {
  return {
    points: 0,
    marked: 0,
    cleaned: 0,
    legWrites: 0,
    legFlushes: 0,
    logWrites: 0,
    logFlushes: 0,
    acked: 0,
    mostOpen: 0,
    begun: [],
    named: new Map(),
  };
}
