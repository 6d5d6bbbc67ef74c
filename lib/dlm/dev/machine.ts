// What the kernel needs before it can be configured, and its end.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

import { DevError } from "./errors";

const MODULE = "/sys/module/dlm";
const CONFIGFS = "/sys/kernel/config";
/** Is there as soon as configfs is mounted and the module registered in it. */
const CONFIGFS_DLM = `${CONFIGFS}/dlm`;

/** Whether the module had to be loaded. */
export function loadModule(): boolean {
  if (existsSync(MODULE)) return false;
  const complaint = run("modprobe", ["dlm"]);
  if (complaint === undefined) return true;
  throw new DevError("ERR_DEV_REFUSED", `the kernel's module dlm cannot be loaded: ${complaint}`);
}

/** Whether configfs had to be mounted. */
export function mountConfigfs(): boolean {
  if (existsSync(CONFIGFS_DLM)) return false;
  const complaint = run("mount", ["-t", "configfs", "configfs", CONFIGFS]);
  if (complaint === undefined && existsSync(CONFIGFS_DLM)) return true;
  throw new DevError("ERR_DEV_SYSTEM", `configfs cannot be mounted at ${CONFIGFS}: ${complaint ?? "it has no dlm"}`);
}

/** What is in use stays. */
export function putBack(was: { loadedModule: boolean; mountedConfigfs: boolean }): void {
  if (was.mountedConfigfs) run("umount", [CONFIGFS]);
  if (was.loadedModule) run("modprobe", ["-r", "dlm"]);
}

/** Undefined when it went well, else what the program said. */
function run(program: string, args: readonly string[]): string | undefined {
  // su leaves a user's PATH, without the system's programs
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: "C" };
  const { status, signal, stderr, error } = spawnSync(program, args, { env, encoding: "utf8" });
  if (error) return error.message;
  return status === 0 ? undefined : stderr.trim() || `${program} ended with ${status ?? signal ?? "nothing"}`;
}
