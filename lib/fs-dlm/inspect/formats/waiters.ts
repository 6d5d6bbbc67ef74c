// debugfs dlm/NAME_waiters: locks for which a message has been sent that the other node has not answered. Names are
// printed as they are, without their length and only up to a NUL. Source: fs/dlm/debug_fs.c, `waiters_read()`.

import { hexColumn } from "./lines";

/** The kernel prints into a buffer of this size, and leaves out silently what does not fit. */
export const WAITERS_SIZE = 4096;

/** More than any one line can need: lkid, type, node, a name of 64 bytes. */
const LINE_MAX = 90;

export interface RawWaiter {
  lkid: number;
  /** DLM_MSG_. */
  waitType: number;
  /** Who is to answer; -1 while the resource's directory node is being asked for the master. */
  nodeId: number;
  /** Latin-1. */
  name: string;
}

const HEAD = /([0-9a-f]+) (\d+) (-?\d+) /y;

/** @param known names of resources (Latin-1): they tell where a name with a line break in it ends */
export function parseWaiters(
  text: string,
  known: ReadonlySet<string> = new Set(),
): { waiters: RawWaiter[]; truncated: boolean } {
  const waiters: RawWaiter[] = [];
  for (let at = 0; at < text.length;) {
    HEAD.lastIndex = at;
    const [, lkid, waitType, nodeId] = HEAD.exec(text) ?? [];
    if (nodeId === undefined) {
      at = nextLine(text, at);
      continue;
    }
    const start = HEAD.lastIndex;
    const end = nameEnd(text, start, known);
    const name = text.slice(start, end);
    waiters.push({ lkid: hexColumn(lkid), waitType: Number(waitType), nodeId: Number(nodeId), name });
    at = end + 1;
  }
  return { waiters, truncated: text.length > WAITERS_SIZE - LINE_MAX };
}

function nextLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
}

function nameEnd(text: string, start: number, known: ReadonlySet<string>): number {
  const first = text.indexOf("\n", start);
  for (let end = first; end >= 0; end = text.indexOf("\n", end + 1)) {
    if (known.has(text.slice(start, end))) return end;
    if (end - start >= 64) break;
  }
  return first < 0 ? text.length : first;
}
