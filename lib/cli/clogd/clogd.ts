// The verb `clusterlock clogd`.

import { DEFAULT_DIRECTORY, runDaemon } from "../../clog/daemon/daemon";
import { DaemonError, type DaemonErrorCode } from "../../clog/daemon/errors";
import { queryStatus } from "../../clog/daemon/status-socket";
import { stopDaemon } from "../../clog/daemon/stop";
import { NO_PERMISSION, OK, OS_ERROR, UNAVAILABLE, USAGE } from "../exit-codes";
import { UsageError } from "../usage-error";
import { CLOGD_HELP } from "./help";
import { serveOptions, statusOptions, stopOptions } from "./options";
import { printStatus } from "./print";

const VERBS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = { status, stop };

const STATUS: Readonly<Record<DaemonErrorCode, number>> = {
  ERR_CLOGD_RUNNING: UNAVAILABLE,
  ERR_CLOGD_ABSENT: UNAVAILABLE,
  ERR_CLOGD_REFUSED: UNAVAILABLE,
  ERR_CLOGD_PERMISSION: NO_PERMISSION,
  ERR_CLOGD_SYSTEM: OS_ERROR,
};

export async function clogd(args: readonly string[]): Promise<number> {
  if (args.some((word) => word === "--help" || word === "-h") || args[0] === "help") {
    process.stdout.write(CLOGD_HELP);
    return OK;
  }
  const [verb = "", ...rest] = args;
  try {
    return (await (Object.hasOwn(VERBS, verb) ? VERBS[verb]?.(rest) : serve(args))) ?? OK;
  } catch (error) {
    if (error instanceof UsageError) {
      say(`${error.message}; see clusterlock clogd --help`);
      return USAGE;
    }
    if (!(error instanceof DaemonError)) throw error;
    say(error.message);
    return STATUS[error.code];
  }
}

async function serve(args: readonly string[]): Promise<number> {
  await runDaemon(serveOptions(args));
  return OK;
}

async function status(args: readonly string[]): Promise<number> {
  const { directory, json } = statusOptions(args);
  const found = await queryStatus(directory ?? DEFAULT_DIRECTORY);
  process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : printStatus(found));
  return OK;
}

async function stop(args: readonly string[]): Promise<number> {
  const { pid } = await stopDaemon(stopOptions(args).directory ?? DEFAULT_DIRECTORY);
  say(`process ${pid} has ended`);
  return OK;
}

function say(line: string): void {
  // without a reader there is nobody to tell
  if (!process.stderr.destroyed) process.stderr.write(`clusterlock clogd: ${line}\n`);
}
