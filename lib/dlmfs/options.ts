import { type Options, checkFlag, checkUint32 } from "../checks";
import { invalidType, invalidValue } from "../errors";

import type { DomainLockMode, OnDomainBlocking } from "./lock-options";
import type { RequestOptions } from "./request";

// PATH_MAX, less what comes below
const DIRECTORY_MAX = 3968;

export interface CheckedOptions extends RequestOptions {
  onBlocking: OnDomainBlocking | undefined;
  uncached: boolean;
}

/** @throws TypeError, RangeError */
export function checkLockOptions(given: Options): CheckedOptions {
  const { onBlocking, uid, gid } = given;
  if (onBlocking !== undefined && typeof onBlocking !== "function") {
    throw invalidType("options.onBlocking", "a function", onBlocking);
  }
  return {
    mode: checkDomainLockMode(given["mode"]),
    onBlocking: onBlocking as OnDomainBlocking | undefined,
    uncached: checkFlag(given, "uncached"),
    fileMode: checkFileMode(given, "fileMode"),
    uid: uid === undefined ? undefined : checkUint32(uid, "options.uid"),
    gid: gid === undefined ? undefined : checkUint32(gid, "options.gid"),
  };
}

/** @throws TypeError, RangeError */
function checkDomainLockMode(mode: unknown = "EX"): DomainLockMode {
  if (mode === "PR" || mode === "EX") return mode;
  if (typeof mode !== "string") throw invalidType("options.mode", "a lock mode", mode);
  throw invalidValue("options.mode", `is '${mode}'; ocfs2_dlmfs has PR and EX only`);
}

/** @throws TypeError, RangeError */
export function checkFileMode(given: Options, name: string): number | undefined {
  if (given[name] === undefined) return undefined;
  const mode = checkUint32(given[name], `options.${name}`);
  if (mode <= 0o777) return mode;
  throw invalidValue(`options.${name}`, `is 0o${mode.toString(8)}; permission bits up to 0o777 are expected`);
}

/** @throws TypeError, RangeError */
export function checkPath(given: Options, name: string, usual: string): string {
  const value = given[name] ?? usual;
  if (typeof value !== "string") throw invalidType(`options.${name}`, "a string", value);
  if (!value.startsWith("/") || value.includes("\0")) {
    throw invalidValue(`options.${name}`, `is '${value}'; an absolute path is expected`);
  }
  if (Buffer.byteLength(value) > DIRECTORY_MAX) {
    throw invalidValue(`options.${name}`, `is ${Buffer.byteLength(value)} bytes long, of at most ${DIRECTORY_MAX}`);
  }
  return value.length > 1 ? value.replace(/\/+$/, "") : value;
}

/** The first choice is the default. @throws TypeError, RangeError */
export function checkChoice<T extends string>(given: Options, name: string, choices: readonly [T, ...T[]]): T {
  const value = given[name] ?? choices[0];
  if (choices.includes(value as T)) return value as T;
  if (typeof value !== "string") throw invalidType(`options.${name}`, "a string", value);
  throw invalidValue(`options.${name}`, `is '${value}'; one of ${choices.join(", ")} is expected`);
}
