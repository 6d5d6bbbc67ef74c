// What could not be read, and what mends it. Inspection never throws for it: it answers with what it has.

import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";

import { ROOTS } from "./roots";

/** Something that inspection could not find out. The rest of the answer holds. */
export interface Problem {
  /** The file, or `dlm_controld` for its socket. */
  path: string;
  /**
   * The errno's name ("EACCES"), or ERR_DUMP_FORMAT (a kernel that prints other than we know), ERR_CONTROLD_PROTOCOL (a
   * dlm_controld that answers other than we know), ERR_MASTER_UNKNOWN (no dump of the node that knows).
   */
  code: string;
  /** What it means and what mends it. */
  hint: string;
}

/** The `path` of a problem with dlm_controld. */
export const CONTROLD = "dlm_controld";

const DEBUGFS_MAGIC = 0x64626720;

export function errorCode(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" ? code : "EIO";
}

/** A directory of debugfs, and what it means when that or something in it is missing. */
export interface DebugfsArea {
  directory: string;
  unloaded: string;
  absent: string;
}

const FS_DLM: DebugfsArea = {
  directory: "dlm",
  unloaded: "the kernel module dlm is not loaded, or was built without debugfs",
  absent: "this node is no member of that lockspace",
};

/** Why a file of debugfs could not be read. */
export async function debugfsProblem(path: string, error: unknown, area: DebugfsArea = FS_DLM): Promise<Problem> {
  const code = errorCode(error);
  return { path, code, hint: await debugfsHint(code, area) };
}

async function debugfsHint(code: string, area: DebugfsArea): Promise<string> {
  switch (code) {
    case "EACCES":
      return "debugfs is open to root only: run this as root, or with CAP_DAC_READ_SEARCH";
    case "EPERM":
      return "this kernel is locked down and keeps debugfs closed";
    case "EAGAIN":
      return "the lockspace is in recovery: ask again when it runs";
    case "ENOENT": {
      const mounted = await statfs(ROOTS.debugfs).then(
        ({ type }) => type === DEBUGFS_MAGIC || ROOTS.faked,
        () => false,
      );
      if (!mounted) return `debugfs is not mounted: mount -t debugfs none ${ROOTS.debugfs}`;
      return existsSync(`${ROOTS.debugfs}/${area.directory}`) ? area.absent : area.unloaded;
    }
    case "ENODEV":
    case "EIO":
      return "this node left the lockspace while it was being read";
    default:
      return "reading debugfs failed";
  }
}

/** Why a file of sysfs or configfs could not be read. */
export function fileProblem(path: string, error: unknown): Problem {
  const code = errorCode(error);
  const gone = path.startsWith(ROOTS.configfs)
    ? "configfs is not mounted, or dlm_controld has set up no cluster on this node"
    : "the kernel module dlm is not loaded, or the lockspace has gone";
  const hint =
    code === "ENOENT" ? gone : code === "EACCES" ? "not open to this user: run this as root" : "reading it failed";
  return { path, code, hint };
}

export function formatProblem(path: string, line: string): Problem {
  const shown = line.length > 60 ? `${line.slice(0, 60)}…` : line;
  return { path, code: "ERR_DUMP_FORMAT", hint: `this kernel prints what is not understood: ${JSON.stringify(shown)}` };
}
