import type { ClogError } from "../../errors";
import type { LogIdentity, LogReport } from "../log/dirty-log";
import type { RequestName } from "../protocol/requests";

/** A step in a log's life. */
export interface LogEvent extends LogIdentity {
  /**
   * `created`: a table with it is being loaded. `restored`: from what the server's predecessor has left. `rebuilt`: the
   * kernel uses it, and nothing was left of it. `resumed`: its mirror runs. `suspended`: nothing is going on. `removed`.
   */
  action: "created" | "restored" | "rebuilt" | "resumed" | "suspended" | "removed";
  type: string;
}

/** What somebody should look at. */
export type LogTrouble =
  /** Requests were lost because they came faster than they were received. The kernel asks again. */
  | { kind: "overrun" }
  /** Another process has sent to the server's socket. */
  | { kind: "foreign-sender"; pid: number }
  /** The kernel has sent what is no request. */
  | { kind: "malformed"; length: number; reason: string }
  /**
   * Another socket hears the kernel's requests. Its mere presence makes the kernel wait for ever when this server has
   * ended; with CAP_SYS_ADMIN it can answer in its stead. `pid` and `command`: of a process that has it, when /proc tells.
   */
  | { kind: "foreign-listener"; port: number; pid: number | undefined; command: string | undefined }
  /** The kernel has asked a second time, for it had no answer in 15 s: the log is at it for `ms` milliseconds. */
  | (LogIdentity & { kind: "retry"; request: RequestName; ms: number })
  /** The kernel uses a log that nobody knows, and that is in no table. */
  | (LogIdentity & { kind: "unknown-log"; request: RequestName })
  /** The log could not be made; a new table is refused for it. */
  | (LogIdentity & { kind: "construction-failed"; error: Error })
  /** What the server's predecessor has left of a log is of no use; the log is rebuilt when the kernel asks for it. */
  | { kind: "damaged"; path: string; reason: string }
  /** What the successor would have to know could not be written, or removed. */
  | (LogIdentity & { kind: "not-kept"; error: Error })
  /** The mirror runs, and its RESUME never came: nobody was there when it was sent. The log is resumed all the same. */
  | (LogIdentity & { kind: "missed-resume"; request: RequestName })
  /** These mirrors have one log between them, and take it from each other at every write. Each needs a UUID of its own. */
  | (LogIdentity & { kind: "uuid-shared"; mirrors: string[] })
  /** A method of the log has failed. */
  | (LogIdentity & { kind: "request-failed"; request: RequestName; error: Error })
  /** The kernel names a region that the mirror does not have. */
  | (LogIdentity & { kind: "out-of-range"; request: RequestName; region: bigint })
  /** What the log wanted to answer would have harmed the mirror or the kernel. */
  | (LogIdentity & { kind: "wrong-answer-prevented"; request: RequestName; reason: string })
  /** The server has lost its socket, and closes. */
  | { kind: "failed"; error: ClogError };

export interface LogServerEvents {
  log: [event: LogEvent];
  report: [report: LogIdentity & LogReport];
  trouble: [trouble: LogTrouble];
  close: [];
}
