// A node's way into the cluster: by our own set-up, or by waiting for the administrator's.

import path from "node:path";

import type { NodeProcess } from "../cluster";
import { LabError } from "../errors";
import { LineSplitter } from "../lines";
import { packageRoot } from "../paths";
import type { Inventory } from "./inventory";

const SCRIPTS = path.join(packageRoot, "scripts/guest");

export function stackScripts({ setup, stack }: Inventory): string[] {
  return setup ? ["network.sh", `stack-${stack}.sh`] : ["ready.sh"];
}

/** Parameters of the scripts; see scripts/guest/common.sh. */
export function scriptParameters({ hosts }: Inventory, patience: number): Record<string, string> {
  return {
    CLUSTERLOCK_ADDRESSES: hosts.map(({ address }) => address).join(" "),
    // the administrator has set up the network
    CLUSTERLOCK_INTERFACE: "",
    // nobody has said how these machines are to be fenced
    CLUSTERLOCK_FENCING: "off",
    CLUSTERLOCK_PATIENCE: String(patience),
  };
}

/** Runs a script of scripts/guest on a node to its end. */
export async function runScript(
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
