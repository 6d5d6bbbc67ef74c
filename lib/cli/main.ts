#!/usr/bin/env node
// The command clusterlock: finds the verb. Verbs parse and print; a library room does the work.

import { readFileSync } from "node:fs";
import path from "node:path";

import { clogd } from "./clogd/clogd";
import { dev } from "./dev/dev";
import { EXIT_BROKEN_PIPE, INTERNAL, IO_ERROR, OK, USAGE } from "./exit-codes";
import { lab } from "./lab/lab";

const VERBS: Readonly<Record<string, (args: string[]) => Promise<number>>> = { clogd, dev, lab };

const HELP = `usage: clusterlock VERB [ARG...]

  clogd      serves the logs of device-mapper mirrors; see clusterlock clogd --help
  dev        a DLM on this machine alone, for development; see clusterlock dev --help
  lab        real clusters to develop and test against; see clusterlock lab --help

  --help     this text
  --version  the version
`;

async function main([verb, ...args]: string[]): Promise<number> {
  if (verb === "--help" || verb === "-h" || verb === "help") {
    process.stdout.write(HELP);
    return OK;
  }
  if (verb === "--version" || verb === "-V") {
    process.stdout.write(`${version()}\n`);
    return OK;
  }
  const found = verb !== undefined && Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (found !== undefined) return await found(args);
  process.stderr.write(verb === undefined ? HELP : `clusterlock: there is no verb "${verb}"; see clusterlock --help\n`);
  return USAGE;
}

function version(): string {
  const text = readFileSync(path.join(__dirname, "..", "..", "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

// output that nobody takes ends this command in good order; verbs that run longer look for themselves
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exitCode = error.code === "EPIPE" ? EXIT_BROKEN_PIPE : IO_ERROR;
  });
}

main(process.argv.slice(2)).then(
  // not exit(): output may still be on its way into a pipe
  (status) => {
    process.exitCode ??= status;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = INTERNAL;
  },
);
