import path from "node:path";

import { type Options, checkObject, checkUint32 } from "../../checks";
import { invalidType, invalidValue } from "../../errors";
import type { LogFactory } from "../log/dirty-log";

export interface LogServerOptions {
  /**
   * What makes logs, by the word in the table that names their type. Default: `clustered-core` and `clustered-disk`. What
   * is given replaces the default.
   */
  logs?: Readonly<Record<string, LogFactory>> | undefined;
  /**
   * Where the server keeps what its successor has to know, for a death of it that the mirrors are to survive; in a file
   * system that a reboot empties. One server at a time. Default "/run/clusterlock/clogd". False: nowhere; after a restart
   * everything that was not clean on a log device is resynchronised, and when the kernel was waiting for a flush, all of
   * the mirror at its next resume.
   */
  directory?: string | false | undefined;
  /** The socket's own nl_pid, of which a machine has one. Default 0x636c6f67 ("clog"). */
  port?: number | undefined;
  /** Bytes of requests that may wait to be received, with the kernel's overhead. Default 4 MiB. */
  receiveBuffer?: number | undefined;
}

const PORT = 0x636c6f67;
const RECEIVE_BUFFER = 4 << 20;
const DIRECTORY = "/run/clusterlock/clogd";

export interface ServerSettings {
  logs: ReadonlyMap<string, LogFactory>;
  directory: string | undefined;
  port: number;
  receiveBuffer: number;
}

/** @throws TypeError, RangeError */
export function checkServerOptions(options: unknown, defaults: Readonly<Record<string, LogFactory>>): ServerSettings {
  const given = checkObject(options);
  return {
    logs: checkLogs(given, defaults),
    directory: checkDirectory(given["directory"]),
    port: checkNumber(given["port"], "options.port", PORT),
    receiveBuffer: checkNumber(given["receiveBuffer"], "options.receiveBuffer", RECEIVE_BUFFER),
  };
}

function checkLogs(given: Options, defaults: Readonly<Record<string, LogFactory>>): Map<string, LogFactory> {
  const logs = given["logs"] ?? defaults;
  if (typeof logs !== "object") throw invalidType("options.logs", "an object", logs);
  const checked = new Map<string, LogFactory>();
  for (const [type, factory] of Object.entries(logs) as [string, unknown][]) {
    if (!/^[^\s\0]+$/.test(type)) throw invalidValue("options.logs", `has '${type}'; a word is expected`);
    if (typeof factory !== "function") throw invalidType(`options.logs.${type}`, "a function", factory);
    checked.set(type, factory as LogFactory);
  }
  if (checked.size === 0) throw invalidValue("options.logs", "is empty");
  return checked;
}

function checkDirectory(value: unknown): string | undefined {
  if (value === false) return undefined;
  if (value === undefined) return DIRECTORY;
  if (typeof value !== "string") throw invalidType("options.directory", "a string or false", value);
  if (!path.isAbsolute(value) || value.includes("\0")) {
    throw invalidValue("options.directory", `is '${value}'; an absolute path is expected`);
  }
  return path.normalize(value);
}

// 0 would be a port, and a buffer, of the kernel's choosing.
function checkNumber(value: unknown, name: string, otherwise: number): number {
  if (value === undefined) return otherwise;
  const number = checkUint32(value, name);
  if (number === 0 || number > 0x7fffffff) throw invalidValue(name, `is ${number}; 1 to 2^31-1 is expected`);
  return number;
}
