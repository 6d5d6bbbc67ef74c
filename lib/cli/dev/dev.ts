// The verb `clusterlock dev`.

import { DevError, type DevErrorCode, devDown, devStatus, devUp } from "../../dlm/dev/dev";
import { NO_PERMISSION, OK, OS_ERROR, UNAVAILABLE, USAGE } from "../exit-codes";
import { DEV_HELP } from "./help";

const VERBS: Readonly<Record<string, () => Promise<number> | number>> = { up, down, status, "status --json": json };

const STATUS: Readonly<Record<DevErrorCode, number>> = {
  ERR_DEV_PERMISSION: NO_PERMISSION,
  ERR_DEV_REFUSED: UNAVAILABLE,
  ERR_DEV_SYSTEM: OS_ERROR,
};

export async function dev(args: readonly string[]): Promise<number> {
  if (args.some((word) => word === "--help" || word === "-h") || args[0] === "help") {
    process.stdout.write(DEV_HELP);
    return OK;
  }
  const words = args.join(" ");
  const act = Object.hasOwn(VERBS, words) ? VERBS[words] : undefined;
  if (act === undefined) {
    say(`${args.length === 0 ? "a verb is missing" : `there is no "${words}"`}; see clusterlock dev --help`);
    return USAGE;
  }
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof DevError)) throw error;
    say(error.message);
    return STATUS[error.code];
  }
}

async function up(): Promise<number> {
  const { already, pid, note } = await devUp();
  if (already) say(`is up already, process ${pid}`);
  else
    say(`up, process ${pid}${note === undefined ? "" : `; ${note}`}. It fences nobody: for development and tests only`);
  return OK;
}

async function down(): Promise<number> {
  const { already } = await devDown();
  say(already ? "was not up" : "down");
  return OK;
}

function status(): number {
  const { state, pid, lockspaces, log } = devStatus();
  const who = pid === undefined ? "" : `, process ${pid}, log ${log}`;
  const spaces = state === "down" ? [] : [`lockspaces: ${lockspaces.join(", ") || "none"}`];
  const hint = state === "dead" ? ["its process was killed: clusterlock dev up, or down"] : [];
  process.stdout.write(`${[`${state}${who}`, ...spaces, ...hint].join("\n")}\n`);
  return state === "up" ? OK : UNAVAILABLE;
}

function json(): number {
  const found = devStatus();
  process.stdout.write(`${JSON.stringify(found)}\n`);
  return found.state === "up" ? OK : UNAVAILABLE;
}

function say(line: string): void {
  // without a reader there is nobody to tell
  if (!process.stderr.destroyed) process.stderr.write(`clusterlock dev: ${line}\n`);
}
