import { createRequire } from "node:module";
import path from "node:path";

import type { NativeAddon } from "../../lib/native";

/** The levers of the double of the DLM's devices; test/native/double/dlm_double.h says what each does. */
export interface Levers {
  stall(on: boolean): void;
  failWrites(errno: number, count: number): void;
  failOpens(errno: number, count: number): void;
  failReads(errno: number, count: number): void;
  /** The mode bits that were set on a lockspace's device; 0: none were. */
  modeOf(lockspace: string): number;
  setVersion(major: number, minor: number, patch: number): void;
  setModuleLoaded(on: boolean): void;
  countLocks(): number;
  countHandles(): number;
  /** The kernel's end of a log socket; test/native/double/log_link.h. */
  logSend(port: number, datagram: Uint8Array, sender: number): number;
  logOverrun(port: number): number;
  logFail(port: number, errno: number): number;
  logReceive(port: number): Buffer;
  logOpen(port: number): boolean;
}

/** CLUSTERLOCK_TEST_BUILD chooses another build of the double, such as the sanitized one. */
const root = path.resolve(__dirname, "../..");
export const DOUBLE_PATH: string = path.resolve(
  root,
  process.env["CLUSTERLOCK_TEST_BUILD"] ?? "build",
  "Release/clusterlock_double.node",
);

export function loadDouble(): { addon: NativeAddon; levers: Levers } {
  const addon = createRequire(__filename)(DOUBLE_PATH) as NativeAddon & { double: Levers };
  addon.path = DOUBLE_PATH;
  return { addon, levers: addon.double };
}

/** Resolves when `condition` holds; rejects, naming it, when it does not within `ms`. */
export async function until(what: string, condition: () => boolean, ms = 5000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
