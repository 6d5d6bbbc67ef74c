// debugfs dlm/NAME_all. Kernels up to 6.9 begin with "version rsb 1.1 lvb 1.1 lkb 1.1", later ones with the names of
// columns; the lines are the same. Source: fs/dlm/debug_fs.c, `print_format3()`.

import { Lines, hexColumn, printedName } from "./lines";
import type { DumpParser, RawLock, RawResource } from "./raw";

const RESOURCE = /^rsb [0-9a-fx]+ (-?\d+) [0-9a-f]+ ([0-9a-f]+) ([01]) ([01]) \d+ \d+ (str|hex) (.*)$/s;
const HEADER = /^(version rsb |rsb ptr )/;
const LOCK_COLUMNS = 17;

export class AllParser implements DumpParser {
  stranger: string | undefined;
  readonly #lines = new Lines();
  // The kernel prints a resource twice, when one that was added before it in its table moved it on.
  readonly #resources = new Map<string, RawResource>();
  readonly #wanted: string | undefined;
  #current: RawResource | undefined;

  /** @param wanted the only resource to keep, as Latin-1 */
  constructor(wanted?: string) {
    this.#wanted = wanted;
  }

  push(text: string, nowNs: number | undefined): void {
    for (const line of this.#lines.push(text)) this.#take(line, nowNs);
  }

  end(): RawResource[] {
    if (this.#lines.rest !== "") this.stranger ??= this.#lines.rest;
    return [...this.#resources.values()];
  }

  #take(line: string, nowNs: number | undefined): void {
    if (line.startsWith("lkb ")) this.#lock(line, nowNs);
    else if (line.startsWith("lvb ")) this.#value(line);
    else if (!HEADER.test(line)) this.#resource(line);
  }

  #resource(line: string): void {
    const [, nodeId, flags, root, recover, kind, printed] = RESOURCE.exec(line) ?? [];
    if (printed === undefined) {
      // a detail that we do not know may stand among a resource's lines, but a resource is the end of the one before
      if (line.startsWith("rsb ")) this.#current = undefined;
      this.stranger ??= line;
      return;
    }
    const name = printedName(kind, printed);
    this.#current = {
      name,
      nameComplete: true,
      nodeId: Number(nodeId),
      flags: hexColumn(flags),
      recovering: root === "1" || recover === "1",
      lvb: undefined,
      locks: [],
    };
    if (this.#wanted === undefined || this.#wanted === name) this.#resources.set(name, this.#current);
  }

  #value(line: string): void {
    const [, sequence, , ...bytes] = line.split(" ");
    if (this.#current && bytes.length > 0) this.#current.lvb = { hex: bytes.join(""), sequence: Number(sequence) };
    else this.stranger ??= line;
  }

  #lock(line: string, nowNs: number | undefined): void {
    const columns = line.split(" ");
    if (!this.#current || columns.length < LOCK_COLUMNS) {
      this.stranger ??= line;
      return;
    }
    const [, lkid, nodeId, remote, tid, xid, exflags, flags, status, granted, requested, , lookup, wait, , since] =
      columns as [string, string, string, string, string, string, ...string[]];
    const sinceNs = Number(since);
    const lock: RawLock = {
      lkid: hexColumn(lkid),
      nodeId: Number(nodeId),
      remoteLkid: hexColumn(remote),
      tid: Number(tid),
      xid,
      exflags: hexColumn(exflags),
      flags: hexColumn(flags),
      status: Number(status),
      granted: Number(granted),
      requested: Number(requested),
      queuedUs: nowNs === undefined || sinceNs === 0 ? undefined : Math.max(0, Math.round((nowNs - sinceNs) / 1000)),
      lookup: lookup === "1",
      waitType: Number(wait),
    };
    this.#current.locks.push(lock);
  }
}
