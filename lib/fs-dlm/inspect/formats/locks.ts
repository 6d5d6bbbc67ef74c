// debugfs dlm/NAME_locks: a line for each lock, with its resource's name in quotes as it is: quotes, line breaks and all.
// r_len tells where it ends, unless the name has a NUL, at which printing stops. `time_ms` is in microseconds.
// Source: fs/dlm/debug_fs.c, `print_format2_lock()`.

import { hexColumn } from "./lines";
import type { DumpParser, RawLock, RawResource } from "./raw";

const HEAD =
  /([0-9a-f]+) (-?\d+) ([0-9a-f]+) (\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) (\d+) (-?\d+) (-?\d+) (\d+) (-?\d+) (\d+) "/y;
const HEADER = "id nodeid remid ";
const END = '"\n';

export class LocksParser implements DumpParser {
  stranger: string | undefined;
  #text = "";
  readonly #resources = new Map<string, RawResource>();
  #current: RawResource | undefined;
  readonly #ofCurrent = new Set<number>();
  readonly #wanted: string | undefined;

  /** @param wanted the only resource to keep, as Latin-1 */
  constructor(wanted?: string) {
    this.#wanted = wanted;
  }

  // Times are durations here: what the clock says does not matter.
  push(text: string): void {
    this.#text += text;
    this.#consume(false);
  }

  end(): RawResource[] {
    this.#consume(true);
    return [...this.#resources.values()];
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
    if (!head) return this.#skip(at, last);
    const start = HEAD.lastIndex;
    const size = Number(head[13]);
    if (this.#text.length < start + size + END.length && !last) return undefined;
    const complete = this.#text.startsWith(END, start + size);
    const end = complete ? start + size : this.#endBeforeNul(start, size);
    if (end === undefined) return this.#skip(at, last);
    this.#add(head, this.#text.slice(start, end), complete);
    return end + END.length;
  }

  // The first end after which the dump goes on as a dump does.
  #endBeforeNul(start: number, size: number): number | undefined {
    for (let end = this.#text.indexOf(END, start); end >= 0 && end < start + size;) {
      const next = end + END.length;
      HEAD.lastIndex = next;
      if (next >= this.#text.length || HEAD.test(this.#text) || next + 80 > this.#text.length) return end;
      end = this.#text.indexOf(END, next);
    }
    return undefined;
  }

  #skip(at: number, last: boolean): number | undefined {
    const end = this.#text.indexOf("\n", at);
    if (end < 0 && !last) return undefined;
    const next = end < 0 ? this.#text.length : end + 1;
    if (!this.#text.startsWith(HEADER, at)) this.stranger ??= this.#text.slice(at, next);
    return next;
  }

  #add(head: RegExpExecArray, name: string, complete: boolean): void {
    if (this.#wanted !== undefined && this.#wanted !== name) return;
    const [, lkid, nodeId, remote, tid, xid, exflags, flags, status, granted, requested, us, master] = head;
    const lock: RawLock = {
      lkid: hexColumn(lkid),
      nodeId: Number(nodeId),
      remoteLkid: hexColumn(remote),
      tid: Number(tid),
      xid: xid ?? "0",
      exflags: hexColumn(exflags),
      flags: hexColumn(flags),
      status: Number(status),
      granted: Number(granted),
      requested: Number(requested),
      queuedUs: Number(us),
      lookup: false,
      waitType: 0,
    };
    const { name: before, nameComplete } = this.#current ?? {};
    const resource =
      this.#current && before === name && nameComplete === complete
        ? this.#current
        : this.#begin(name, complete, Number(master));
    // The kernel prints a resource twice, when one that was added before it in its table moved it on.
    if (this.#ofCurrent.has(lock.lkid)) this.#forget(resource);
    this.#ofCurrent.add(lock.lkid);
    resource.locks.push(lock);
  }

  #begin(name: string, nameComplete: boolean, master: number): RawResource {
    // printed as unsigned, -1 included
    const nodeId = master | 0;
    const resource: RawResource = {
      ...{ name, nameComplete, nodeId },
      ...{ flags: undefined, recovering: false, lvb: undefined, locks: [] },
    };
    // names that are cut can be alike although they are not
    this.#resources.set(nameComplete ? name : `${name}\0${this.#resources.size}`, resource);
    this.#current = resource;
    this.#ofCurrent.clear();
    return resource;
  }

  #forget(resource: RawResource): void {
    resource.locks = [];
    this.#ofCurrent.clear();
  }
}
