// The words after `clusterlock clogd`.

import { parseArgs, type ParseArgsConfig } from "node:util";

import { UsageError } from "../usage-error";

const DIRECTORY = { directory: { type: "string" } } as const;

const SERVE = {
  ...DIRECTORY,
  pidfile: { type: "string" },
  "lock-memory": { type: "boolean" },
  "io-flusher": { type: "boolean" },
  "oom-score-adj": { type: "string" },
  protect: { type: "boolean" },
  "clear-delay": { type: "string" },
  verbose: { type: "boolean" },
} as const;

export interface ServeOptions {
  readonly directory: string | undefined;
  readonly pidfile: string | undefined;
  readonly lockMemory: boolean;
  readonly ioFlusher: boolean;
  readonly oomScoreAdj: number | undefined;
  /** Milliseconds. */
  readonly clearDelay: number | undefined;
  readonly verbose: boolean;
}

/** @throws UsageError */
export function serveOptions(args: readonly string[]): ServeOptions {
  const values = parse(args, SERVE);
  const protect = values.protect === true;
  const delay = number("--clear-delay", values["clear-delay"], 0.001, 3_600);
  return {
    directory: file("--directory", values.directory),
    pidfile: file("--pidfile", values.pidfile),
    lockMemory: protect || values["lock-memory"] === true,
    ioFlusher: protect || values["io-flusher"] === true,
    oomScoreAdj: whole("--oom-score-adj", values["oom-score-adj"], -1_000, 1_000) ?? (protect ? -1_000 : undefined),
    clearDelay: delay === undefined ? undefined : delay * 1_000,
    verbose: values.verbose === true,
  };
}

/** @throws UsageError */
export function statusOptions(args: readonly string[]): { directory: string | undefined; json: boolean } {
  const values = parse(args, { ...DIRECTORY, json: { type: "boolean" } } as const);
  return { directory: file("--directory", values.directory), json: values.json === true };
}

/** @throws UsageError */
export function stopOptions(args: readonly string[]): { directory: string | undefined } {
  return { directory: file("--directory", parse(args, DIRECTORY).directory) };
}

function parse<const T extends NonNullable<ParseArgsConfig["options"]>>(
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  const [word] = args;
  if (word !== undefined && !word.startsWith("-")) throw new UsageError(`there is no "${word}"`);
  try {
    return parseArgs({ args: glue(args), options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split(/\.\s|\n/)[0] ?? "") : String(error));
  }
}

/** parseArgs() would take a negative number for an option: it becomes part of the option before it. */
function glue(args: readonly string[]): string[] {
  return args.flatMap((text, at) => {
    if (/^-\d/.test(text) && at > 0) return [];
    const next = args[at + 1] ?? "";
    return /^-\d/.test(next) ? [`${text}=${next}`] : [text];
  });
}

function file(option: string, value: string | undefined): string | undefined {
  if (value === "") throw new UsageError(`${option}: a path is missing`);
  return value;
}

function whole(option: string, text: string | undefined, least: number, most: number): number | undefined {
  const value = number(option, text, least, most);
  if (value !== undefined && !Number.isInteger(value))
    throw new UsageError(`${option} ${text}: a whole number is wanted`);
  return value;
}

function number(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${option} ${text}: a number from ${least} to ${most} is wanted`);
}
