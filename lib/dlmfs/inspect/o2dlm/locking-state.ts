// debugfs o2dlm/DOMAIN/locking_state: one record for each resource that this node knows. The lines of versions 1, which
// are all there are up to Linux 6.12. A record is printed into one page, and cut off where that ends.
// Source: fs/ocfs2/dlm/dlmdebug.c, `dump_lockres()` and `dump_lock()`.

import { printName } from "./printed-names";

/** A lock as the kernel prints it. */
export interface RawO2Lock {
  queue: "granted" | "converting" | "blocked";
  /** The mode granted, or of a blocked lock the one asked for; -1 for none. */
  type: number;
  /** Of a converting lock the mode asked for; -1 for none. */
  convertType: number;
  /** Whose lock it is. */
  node: number;
  /** `NODE:SEQUENCE`: given by the owner, the same on all nodes. */
  cookie: string;
  /** An AST or BAST waits to be sent. */
  astQueued: boolean;
  bastQueued: boolean;
  /** One is being delivered. */
  astPending: boolean;
  bastPending: boolean;
  /** A message to the master is under way. */
  convertPending: boolean;
  lockPending: boolean;
  cancelPending: boolean;
  unlockPending: boolean;
  references: number;
}

export interface RawO2Resource {
  /** As printed, Latin-1. */
  printed: string;
  /** 255 for not known. */
  owner: number;
  /** DLM_LOCK_RES_ bits. */
  state: number;
  /** In jiffies; 0 while it is in use. */
  lastUsed: number;
  /** On the list of those to be forgotten. */
  purging: boolean;
  /** On the list of those whose queues are to be looked at. */
  dirty: boolean;
  /** On the list of those to be recovered. */
  recovering: boolean;
  /** Requests of this node that have no lock in a queue yet. */
  inflightLocks: number;
  migrationPending: boolean;
  astsReserved: number;
  references: number;
  /** On the master: the nodes that refer to it, but for itself. */
  referencedBy: number[];
  /** 128 digits. */
  lvb: string;
  locks: RawO2Lock[];
  /** Its page was full: there are more locks than these. */
  truncated: boolean;
}

// A name has up to 31 bytes of anything. That the lines after it are all there tells that it has ended.
const HEAD =
  /NAME:([^]{0,32}?)\nLRES:1,(\d+),(\d+),(-?\d+),([01]),([01]),([01]),(\d+),([01]),(-?\d+),(\d+)\nRMAP:((?:\d+ )*)\nLVBX:([0-9a-f]{128})\n/y;
const LOCK =
  /LOCK:1,([012]),(-?\d+),(-?\d+),(\d+),(\d+:-?\d+),([01]),([01]),([01]),([01]),([01]),([01]),([01]),([01]),(\d+)\n/y;
const QUEUES = ["granted", "converting", "blocked"] as const;
/** The start of a lock's line, where the page ended. */
const CUT_LOCK = /[LOCK:\d,-]*/y;
const RECORD = "NAME:";
/** More than the kernel ever prints at once: a page. */
const RECORD_MAX = 4096;

/** Takes text as it is read; a record is let go of as soon as it is parsed. */
export class LockingStateParser {
  /** The first text that is none of the format's. */
  stranger: string | undefined;
  readonly #resources: RawO2Resource[] = [];
  readonly #wanted: string | undefined;
  #text = "";

  /** @param wanted the only resource to keep, as Latin-1 */
  constructor(wanted?: string) {
    this.#wanted = wanted === undefined ? undefined : printName(wanted);
  }

  /** The only one wanted has been found. */
  get satisfied(): boolean {
    return this.#wanted !== undefined && this.#resources.length > 0;
  }

  push(text: string): void {
    this.#text += text;
    this.#consume(false);
  }

  end(): RawO2Resource[] {
    this.#consume(true);
    return this.#resources;
  }

  #consume(last: boolean): void {
    let at = 0;
    while (at < this.#text.length) {
      const next = this.#record(at, last);
      if (next === undefined) break;
      at = next;
    }
    this.#text = this.#text.slice(at);
  }

  /** Takes the record at `at`; where the next one begins, or undefined when more text is needed. */
  #record(at: number, last: boolean): number | undefined {
    HEAD.lastIndex = at;
    const head = HEAD.exec(this.#text);
    if (!head) return !last && this.#text.length - at < RECORD_MAX ? undefined : this.#skip(at);
    const resource = resourceOf(head);
    let next = HEAD.lastIndex;
    for (;;) {
      LOCK.lastIndex = next;
      const lock = LOCK.exec(this.#text);
      if (!lock) break;
      resource.locks.push(lockOf(lock));
      next = LOCK.lastIndex;
    }
    const end = this.#end(next, last);
    if (end === undefined) return undefined;
    resource.truncated = this.#text[next] !== "\n";
    if (this.#wanted === undefined || this.#wanted === resource.printed) this.#resources.push(resource);
    return end;
  }

  /** Where a record ends whose whole lines end at `at`. */
  #end(at: number, last: boolean): number | undefined {
    if (this.#text[at] === "\n") return at + 1;
    CUT_LOCK.lastIndex = at;
    CUT_LOCK.exec(this.#text);
    const cut = CUT_LOCK.lastIndex;
    if (this.#text.startsWith(RECORD, cut)) return cut;
    if (cut === this.#text.length || RECORD.startsWith(this.#text.slice(cut))) return last ? cut : undefined;
    return this.#skip(at);
  }

  #skip(at: number): number {
    const next = this.#text.indexOf(`\n${RECORD}`, at);
    const end = next < 0 ? this.#text.length : next + 1;
    this.stranger ??= this.#text.slice(at, end);
    return end;
  }
}

function resourceOf(head: RegExpExecArray): RawO2Resource {
  const [, printed = "", ...columns] = head;
  const [owner, state, lastUsed, purging, dirty, recovering, inflight, migrating, asts, references] = columns.map(
    Number,
  ) as [number, number, number, number, number, number, number, number, number, number];
  const [referencedBy = "", lvb = ""] = columns.slice(-2);
  return {
    printed,
    owner,
    state,
    lastUsed,
    purging: purging === 1,
    dirty: dirty === 1,
    recovering: recovering === 1,
    inflightLocks: inflight,
    migrationPending: migrating === 1,
    astsReserved: asts,
    references,
    referencedBy: referencedBy.split(" ").filter(Boolean).map(Number),
    lvb,
    locks: [],
    truncated: false,
  };
}

function lockOf(line: RegExpExecArray): RawO2Lock {
  const [, queue, type, convertType, node, cookie = "", ...rest] = line;
  const set = (column: number): boolean => rest[column] === "1";
  return {
    queue: QUEUES[Number(queue) as 0 | 1 | 2],
    type: Number(type),
    convertType: Number(convertType),
    node: Number(node),
    cookie,
    astQueued: set(0),
    bastQueued: set(1),
    astPending: set(2),
    bastPending: set(3),
    convertPending: set(4),
    lockPending: set(5),
    cancelPending: set(6),
    unlockPending: set(7),
    references: Number(rest.at(-1)),
  };
}
