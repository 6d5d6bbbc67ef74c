// Runs one of scripts/guest, which make a cluster node of a machine.

import path from "node:path";

import type { NodeProcess } from "./cluster";
import { LabError } from "./errors";
import { LineSplitter } from "./lines";
import { packageRoot } from "./paths";

const SCRIPTS = path.join(packageRoot, "scripts/guest");

/** Runs a script of scripts/guest on a node to its end; `onStep` is told how far it is. */
export async function runGuestScript(
  name: string,
  start: (argv: readonly string[]) => NodeProcess,
  onStep: (step: string) => void,
): Promise<void> {
  const process = start(["/bin/sh", path.join(SCRIPTS, name)]);
  process.stdin.end();
  let complaint = "";
  process.stderr.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2000);
  });
  const lines = new LineSplitter();
  process.stdout.on("data", (chunk: Buffer) => {
    for (const line of lines.push(chunk)) onStep(line.toString().replace(/^step: /, ""));
  });
  const { code, lost } = await process.exit;
  if (lost !== null) throw new LabError(`the node was lost (${lost}) while ${name} ran`);
  if (code !== 0) {
    throw new LabError(`${name} ended with ${code ?? "a signal"}: ${complaint.trim().split("\n").at(-1) ?? ""}`);
  }
}
