// The verb `clusterlock lab`.

import { LabError, LabOptionError } from "../../lab";
import { LAB_FAILED, OK, USAGE } from "../exit-codes";
import { UsageError } from "../usage-error";
import { labDelay, labFreeze, labHeal, labKill, labLoss, labPartition, labStart, labThaw } from "./faults";
import { LAB_HELP } from "./help";
import { labExec, labRun, labUp } from "./run";
import { say } from "./say";
import { labClean, labConsole, labDown, labStatus } from "./status";

const VERBS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  run: labRun,
  up: labUp,
  exec: labExec,
  status: labStatus,
  kill: labKill,
  start: labStart,
  freeze: labFreeze,
  thaw: labThaw,
  partition: labPartition,
  heal: labHeal,
  loss: labLoss,
  delay: labDelay,
  console: labConsole,
  down: labDown,
  clean: labClean,
};

export async function lab([verb, ...args]: string[]): Promise<number> {
  // of the lab, whatever else is said; of CMD, when it comes after it
  const [first] = args;
  if ([verb, first].some((word) => word === "--help" || word === "-h") || verb === "help") {
    process.stdout.write(LAB_HELP);
    return OK;
  }
  const act = verb !== undefined && Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (act === undefined) return usage(verb === undefined ? "a verb is missing" : `there is no verb "${verb}"`);
  try {
    return await act(args);
  } catch (error) {
    if (error instanceof UsageError || error instanceof LabOptionError) return usage(error.message);
    if (!(error instanceof LabError)) throw error;
    say(error.message);
    return LAB_FAILED;
  }
}

function usage(message: string): number {
  say(`${message}; see clusterlock lab --help`);
  return USAGE;
}
