import { readFileSync } from "node:fs";
import path from "node:path";

import type { DumpSource, LockDump } from "../../../../lib/dlm";
import { assembleResource } from "../../../../lib/fs-dlm/inspect/assemble";
import { AllParser } from "../../../../lib/fs-dlm/inspect/formats/all";
import { LocksParser } from "../../../../lib/fs-dlm/inspect/formats/locks";
import type { RawResource } from "../../../../lib/fs-dlm/inspect/formats/raw";

/**
 * What two nodes of the lab printed, on 6.1.192 and 6.12.117, in one and the same story: A and B are held and wanted
 * crosswise, r has a queue of each kind, `dead` was left invalid by a writer's death, `orphan` is one, and some names
 * are not plain.
 */
export const dumpPath = (name: string): string => path.join(__dirname, "dumps", name);
export const dumpText = (name: string): string => readFileSync(dumpPath(name), "latin1");

/** Parses text that comes in pieces of `size`. */
export function parse(source: DumpSource, text: string, size: number = text.length, nowNs?: number): RawResource[] {
  const parser = source === "all" ? new AllParser() : new LocksParser();
  for (let at = 0; at < text.length; at += size) parser.push(text.slice(at, at + size), nowNs);
  const resources = parser.end();
  if (parser.stranger !== undefined) throw new Error(`not understood: ${parser.stranger}`);
  return resources;
}

/** The dump that a node's text makes. */
export function dumpFrom(node: number, source: DumpSource, text: string, lockspace = "cap"): LockDump {
  const resources = parse(source, text).map((raw) => assembleResource(raw, node));
  const nothing = { inFlight: [], inFlightTruncated: false, inactive: undefined, problems: [] };
  return { lockspace, node, source, resources, ...nothing };
}
