// What /proc says of a process.

import { readFileSync } from "node:fs";

/** What tells a process from a later one of the same number; undefined when it has ended. */
export function startTicks(pid: number | "self", proc = "/proc"): string | undefined {
  const stat = read(`${proc}/${pid}/stat`);
  // a name may hold blanks and parentheses; a zombie has ended
  const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : fields[18];
}

export function oomScoreAdj(proc = "/proc"): number {
  return Number(read(`${proc}/self/oom_score_adj`));
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
