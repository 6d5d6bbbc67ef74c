// The verb `clusterlock lab`.

import { LabError, LabOptionError, run } from "../lab";
import { LAB_FAILED, OK, USAGE } from "./exit-codes";
import type { LabRunArgs } from "./lab-args";
import { LAB_HELP, parseLabRun, UsageError } from "./lab-args";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** What a shell reports of a program whose reader went away. */
const BROKEN_PIPE = 141;

export async function lab([verb, ...args]: string[]): Promise<number> {
  if (verb === "--help" || verb === "-h" || verb === "help") return help();
  if (verb !== "run") {
    return usage(verb === undefined ? "a verb is missing" : `there is no verb "${verb}"`);
  }
  try {
    const parsed = parseLabRun(args);
    return parsed === undefined ? help() : await labRun(parsed);
  } catch (error) {
    if (error instanceof UsageError || error instanceof LabOptionError) return usage(error.message);
    if (!(error instanceof LabError)) throw error;
    say(error.message);
    return LAB_FAILED;
  }
}

async function labRun(args: LabRunArgs): Promise<number> {
  const stop = new AbortController();
  let stopped: number | undefined;
  const stopWith = (status: number): void => {
    stopped ??= status;
    stop.abort();
  };
  const handlers = Object.entries(SIGNALS).map(([signal, status]) => {
    const handler = (): void => {
      stopWith(status);
    };
    process.on(signal, handler);
    return { signal, handler };
  });
  const onError = (): void => {
    stopWith(BROKEN_PIPE);
  };
  process.stdout.on("error", onError);
  try {
    return await run({ ...args, signal: stop.signal, onProgress: say });
  } catch (error) {
    if (stopped === undefined) throw error;
    return stopped;
  } finally {
    for (const { signal, handler } of handlers) process.off(signal, handler);
    process.stdout.off("error", onError);
  }
}

function say(line: string): void {
  process.stderr.write(`clusterlock lab: ${line}\n`);
}

function help(): number {
  process.stdout.write(LAB_HELP);
  return OK;
}

function usage(message: string): number {
  process.stderr.write(`clusterlock lab: ${message}; see clusterlock lab --help\n`);
  return USAGE;
}
