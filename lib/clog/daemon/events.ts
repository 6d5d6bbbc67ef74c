// The server's events in words: what happened, and what to do about it.

import type { LogIdentity, LogReport } from "../log/dirty-log";
import type { LogEvent, LogTrouble } from "../server/events";
import type { Priority } from "./journal";

export interface Line {
  readonly priority: Priority;
  readonly text: string;
}

const STEPS: Readonly<Record<LogEvent["action"], string>> = {
  created: "a table was loaded",
  resumed: "its mirror runs",
  suspended: "its mirror is suspended",
  removed: "its table is gone",
  restored: "goes on where the daemon before this one ended",
  rebuilt: "the kernel uses it and no daemon's record was found: what its log device does not call clean is recovered",
};

export function describeLog({ action, uuid, luid }: LogEvent, name: string | undefined): Line {
  const mirror = name === undefined ? "" : ` (${name})`;
  // of two instances of one name, a table's and its successor's, the number tells which
  return { priority: "info", text: `${uuid}${mirror}: ${STEPS[action]} [0x${luid.toString(16)}]` };
}

export function describeReport(report: LogIdentity & LogReport): Line {
  const { uuid } = report;
  const warning = (text: string): Line => ({ priority: "warning", text: `${uuid}: ${text}` });
  switch (report.kind) {
    case "log-device-failed":
      return warning(
        `its log device ${report.device} failed (${report.error.message}): the mirror holds writes until a table with ` +
          `a log device that works is loaded (also the same one again), and it was suspended and resumed`,
      );
    case "log-device-recovered":
      return {
        priority: "notice",
        text: `${uuid}: its log device ${report.device} works again; writes that are held go on when the mirror's table was loaded anew`,
      };
    case "leg-flush-failed":
      return warning(
        `the cache of leg ${report.device} could not be flushed (${report.error.message}): no region is called clean ` +
          `any more until the mirror is suspended and resumed`,
      );
    case "legs-unknown":
      return warning(
        `its legs could not be found out (${report.error.message}): no region is called clean any more until the mirror ` +
          `is suspended and resumed`,
      );
    case "region-failed":
      return warning(`region ${report.region} could not be written to all legs: replace the leg, and reload the table`);
    case "in-sync":
      return { priority: "notice", text: `${uuid}: all regions are in sync` };
    case "resync-blocked":
      return warning(
        `the kernel will not recover ${report.regions} regions before a suspend and resume: ${report.hint}`,
      );
  }
}

export function describeTrouble(trouble: LogTrouble): Line {
  return { priority: "warning", text: words(trouble) };
}

/** Happens on a busy machine, and the kernel mends it by asking again. */
export function isPassing({ kind }: LogTrouble): boolean {
  return kind === "retry" || kind === "overrun";
}

function words(trouble: LogTrouble): string {
  switch (trouble.kind) {
    case "overrun":
      return "requests came faster than they were received, and were lost; the kernel asks again";
    case "foreign-sender":
      return `the socket of process or port ${trouble.pid} sends to this daemon, which takes requests of the kernel only`;
    case "malformed":
      return `the kernel sent ${trouble.length} bytes that are no request: ${trouble.reason}`;
    case "foreign-listener":
      return (
        `another socket (port ${trouble.port}${listenerName(trouble)}) hears the kernel's requests: while it is open and no ` +
        "daemon runs, who uses a mirror cannot be killed. End its process; see docs/clogd.md"
      );
    case "retry":
      return `${trouble.uuid}: the kernel asks for ${trouble.request} again, which has taken ${trouble.ms} ms so far`;
    case "unknown-log":
      return (
        `${trouble.uuid}: the kernel asks for ${trouble.request} of a log that is in no table; it is told to wait. ` +
        "Does dmsetup work here?"
      );
    case "construction-failed":
      return `${trouble.uuid}: the table is refused: ${trouble.error.message}`;
    case "damaged":
      return `${trouble.path} is of no use (${trouble.reason}): its log is made anew from the table and the log device`;
    case "not-kept":
      return (
        `${trouble.uuid}: a daemon after this one will not know what it needs (${trouble.error.message}), and will ` +
        "recover more than it would have to"
      );
    case "missed-resume":
      return `${trouble.uuid}: its mirror runs, though RESUME never came; ${trouble.request} shows it`;
    case "uuid-shared":
      return `${trouble.uuid}: the mirrors ${trouble.mirrors.join(", ")} take this log from each other; give each a UUID of its own`;
    case "request-failed":
      return `${trouble.uuid}: ${trouble.request} failed: ${trouble.error.message}`;
    case "out-of-range":
      return `${trouble.uuid}: ${trouble.request} of region ${trouble.region}, which its mirror does not have`;
    case "wrong-answer-prevented":
      return `${trouble.uuid}: an answer to ${trouble.request} would have done harm, and was not given: ${trouble.reason}`;
    case "failed":
      return `the connector's socket has failed: ${trouble.error.message}`;
  }
}

/** Whose socket it is, when that is known. */
export function listenerName({ pid, command }: { pid: number | undefined; command: string | undefined }): string {
  return pid === undefined ? "" : `, of process ${pid}${command === undefined ? "" : ` (${command})`}`;
}
