import { readFileSync } from "node:fs";
import path from "node:path";

import type { DomainDump, DomainResource } from "../../../../lib/dlmfs/inspect";
import { assembleO2dlm } from "../../../../lib/dlmfs/inspect/o2dlm/assemble";
import { LockingStateParser, type RawO2Resource } from "../../../../lib/dlmfs/inspect/o2dlm/locking-state";

/**
 * What two nodes of the lab printed, in one and the same story: node 1 of the lab holds `held`, which the other one wants
 * PR, has left `cached`, and waits to convert `conv` while the other one has PR too; `theirs` is the other way round;
 * `value` has a value; some names are not plain.
 */
export const dumpPath = (name: string): string => path.join(__dirname, "dumps", name);
export const dumpText = (name: string): string => readFileSync(dumpPath(name), "latin1");

/** Parses text that comes in pieces of `size`. */
export function parse(text: string, size: number = text.length, wanted?: string): RawO2Resource[] {
  const parser = new LockingStateParser(wanted);
  for (let at = 0; at < text.length; at += size) parser.push(text.slice(at, at + size));
  const resources = parser.end();
  if (parser.stranger !== undefined) throw new Error(`not understood: ${parser.stranger}`);
  return resources;
}

export interface Story {
  node: number;
  queue: "granted" | "converting" | "waiting";
  mode?: number;
  requested?: number;
  pending?: "convert" | "lock" | "cancel" | "unlock";
}

/** A record as the kernel prints it. */
export function record(name: string, owner: number, stories: Story[], state = 0): string {
  const lines = stories.map(({ node, queue, mode = -1, requested = -1, pending }, at) => {
    const [type, convert] = queue === "waiting" ? [requested, -1] : [mode, requested];
    const flags = ["convert", "lock", "cancel", "unlock"].map((one) => (one === pending ? 1 : 0)).join();
    return `LOCK:1,${["granted", "converting", "waiting"].indexOf(queue)},${type},${convert},${node},${node}:${at + 1},0,0,0,0,${flags},2\n`;
  });
  return `NAME:${name}\nLRES:1,${owner},${state},0,0,0,0,0,0,0,4\nRMAP:1 \nLVBX:${"00".repeat(64)}\n${lines.join("")}\n`;
}

/** A node's dump of these records. */
export function dumpFrom(node: number, text: string, more: Partial<DomainDump> = {}): DomainDump {
  const resources = parse(text).map((raw): DomainResource => ({ ...assembleO2dlm(raw, node), openFiles: [] }));
  const nothing = { recovery: undefined, o2dlm: undefined, inFlight: undefined, problems: [] };
  return { domain: "d", stack: "o2cb", node, members: [0, 1], resources, ...nothing, ...more };
}
