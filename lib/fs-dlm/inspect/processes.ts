// Whose process a thread is.

import { readFile } from "node:fs/promises";

import type { DumpedProcess } from "./dump";
import { ROOTS } from "./roots";

const AT_ONCE = 16;

/** The processes of those threads that live, by thread. */
export async function processesOf(tids: Iterable<number>): Promise<Map<number, DumpedProcess>> {
  const found = new Map<number, DumpedProcess>();
  const todo = [...new Set(tids)];
  const work = async (): Promise<void> => {
    for (let tid = todo.pop(); tid !== undefined; tid = todo.pop()) {
      const process = await processOf(tid);
      if (process) found.set(tid, process);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return found;
}

async function processOf(tid: number): Promise<DumpedProcess | undefined> {
  if (tid <= 0) return undefined;
  try {
    const status = await readFile(`${ROOTS.proc}/${tid}/status`, "utf8");
    const pid = Number(/^Tgid:\s*(\d+)/m.exec(status)?.[1]);
    if (!(pid > 0)) return undefined;
    const line = await readFile(`${ROOTS.proc}/${pid}/cmdline`, "utf8");
    const command = line.replace(/\0+$/, "").replaceAll("\0", " ");
    return { pid, command: command === "" ? `[${/^Name:\s*(.*)$/m.exec(status)?.[1] ?? ""}]` : command };
  } catch {
    // it has ended, which is an answer too
    return undefined;
  }
}
