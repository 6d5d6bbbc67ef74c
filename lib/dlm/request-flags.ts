// From named options to the kernel's flags. What the kernel would answer with EINVAL, or with a WARN in its log, is
// refused here. Source: fs/dlm/lock.c, set_lock_args() and validate_lock_args().

import { invalidType, invalidValue } from "../errors";
import { type LockMode, modeNumber } from "../modes";

import { LKF } from "./flags";
import { NO_OPTIONS, type Options, checkFlag } from "../checks";

/** What a conversion does when it and another wait for each other. */
export type DeadlockAction = "fail" | "demote" | "wait";

const DEADLOCK: Readonly<Record<string, number>> = { fail: 0, demote: LKF.convDeadlk, wait: LKF.noDlckWt };
const ALTERNATIVES: Readonly<Record<string, number>> = { PR: LKF.altPr, CW: LKF.altCw };

// Which conversions may queue behind others: fs/dlm/lock.c:__quecvt_compat_matrix. Rows and columns in the order of
// LOCK_MODES.
const QUEUEABLE: readonly string[] = ["011111", "001111", "000111", "001011", "000001", "000000"];

function pick(options: Options, name: string, choices: Readonly<Record<string, number>>): number {
  const value = options[name];
  if (value === undefined) return 0;
  if (typeof value !== "string") throw invalidType(`options.${name}`, "a string", value);
  const flag = Object.hasOwn(choices, value) ? choices[value] : undefined;
  if (flag === undefined) {
    throw invalidValue(`options.${name}`, `is '${value}'; one of ${Object.keys(choices).join(", ")} is expected`);
  }
  return flag;
}

function when(options: Options, name: string, flag: number): number {
  return checkFlag(options, name) ? flag : 0;
}

/** Flags that stay with a lock through its conversions, unless one drops them. */
export function keptFlags(options: Options): number {
  if (options === NO_OPTIONS) return 0;
  return when(options, "persistent", LKF.persistent) | when(options, "noDeadlockBlock", LKF.noDlckBlk);
}

/** Flags of a new request. @throws TypeError, RangeError */
export function requestFlags(options: Options, mode: LockMode, noQueue: boolean): number {
  if (options === NO_OPTIONS) return noQueue ? LKF.noQueue : 0;
  const expedite = when(options, "expedite", LKF.expedite);
  if (expedite !== 0 && mode !== "NL") throw invalidValue("options.expedite", `is for mode NL, not for ${mode}`);
  if (expedite !== 0 && noQueue) throw invalidValue("options.expedite", "needs no tryLock: it never waits");
  const notifyHolders = when(options, "notifyHolders", LKF.noQueueBast);
  if (notifyHolders !== 0 && !noQueue) {
    throw invalidValue("options.notifyHolders", "is for tryLock: a request that waits notifies the holders anyway");
  }
  const headQueue = when(options, "headQueue", LKF.headQue);
  if (headQueue !== 0 && noQueue)
    throw invalidValue("options.headQueue", "means nothing to a request that never waits");
  const alternative = pick(options, "altMode", ALTERNATIVES);
  if (alternative !== 0 && options["altMode"] === mode) {
    throw invalidValue("options.altMode", `is ${mode}, which is the mode that is asked for`);
  }
  const order = expedite | headQueue | when(options, "noOrder", LKF.noOrder);
  return order | notifyHolders | alternative | (noQueue ? LKF.noQueue : 0);
}

/** Flags of a conversion, but for what depends on the mode it starts from. @throws TypeError, RangeError */
export function conversionFlags(options: Options, noQueue: boolean): number {
  const deadlock = pick(options, "deadlock", DEADLOCK);
  const notifyHolders = when(options, "notifyHolders", LKF.noQueueBast);
  const headQueue = when(options, "headQueue", LKF.headQue);
  const queue = when(options, "queue", LKF.queCvt);
  if (noQueue && (deadlock | headQueue) !== 0) {
    const name = deadlock !== 0 ? "deadlock" : "headQueue";
    throw invalidValue(`options.${name}`, "means nothing to a conversion that never waits");
  }
  if (!noQueue && notifyHolders !== 0) {
    throw invalidValue(
      "options.notifyHolders",
      "is for tryConvert: a conversion that waits notifies the holders anyway",
    );
  }
  return (
    deadlock | notifyHolders | headQueue | queue | when(options, "noOrder", LKF.noOrder) | (noQueue ? LKF.noQueue : 0)
  );
}

/** @throws RangeError when the kernel would not queue this conversion, but put a warning in its log. */
export function checkQueueable(flags: number, from: LockMode, to: LockMode): void {
  if ((flags & LKF.queCvt) === 0 || QUEUEABLE[modeNumber(from)]?.[modeNumber(to)] === "1") return;
  throw invalidValue("options.queue", `is for conversions upwards, and ${from} to ${to} is none`);
}

/** The mode that the kernel has granted: the one asked for, or the alternative. */
export function grantedMode(asked: LockMode, flags: number, altGranted: boolean): LockMode {
  if (!altGranted) return asked;
  return (flags & LKF.altPr) !== 0 ? "PR" : "CW";
}
