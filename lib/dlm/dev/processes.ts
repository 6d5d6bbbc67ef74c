// Who on this machine has to do with the DLM, seen from /proc.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Process {
  readonly pid: number;
  readonly name: string;
}

/** Everybody who is about to be a cluster node here, or is one: dlm_controld, by each of its marks. */
export function clusterManagers(proc = "/proc"): string[] {
  const found = processes(proc)
    .filter(({ pid, name }) => name === "dlm_controld" || opens(proc, pid, "dlm-monitor"))
    .map(show);
  if (found.length > 0) return found;
  const sockets = read(`${proc}/net/unix`).match(/@dlmc_(?:query_)?sock$/gm);
  return sockets === null ? [] : [`whoever listens at ${sockets[0]}`];
}

/** Who has a lockspace open. */
export function holders(lockspace: string, proc = "/proc"): Process[] {
  return processes(proc).filter(({ pid }) => opens(proc, pid, `dlm_${lockspace}`));
}

export function show({ pid, name }: Process): string {
  return `${name} (process ${pid})`;
}

/** What tells a process from a later one of the same number; undefined when there is none. */
export function startTime(pid: number, proc = "/proc"): string | undefined {
  const stat = read(`${proc}/${pid}/stat`);
  // a name may hold blanks and parentheses; a zombie has ended
  const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" ? undefined : fields[18];
}

function processes(proc: string): Process[] {
  return readdirSync(proc)
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => ({ pid: Number(entry), name: read(`${proc}/${entry}/comm`).trimEnd() }));
}

function opens(proc: string, pid: number, device: string): boolean {
  const fds = `${proc}/${pid}/fd`;
  try {
    return readdirSync(fds).some((fd) => {
      const target = link(`${fds}/${fd}`);
      return target === `/dev/${device}` || target === `/dev/misc/${device}`;
    });
  } catch {
    return false; // it has ended, or is not for us to see
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
