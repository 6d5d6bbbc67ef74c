// What a lab can be asked for, with defaults and limits.

import type { Stack } from "./cluster";
import { STACKS } from "./cluster";
import { LabOptionError } from "./errors";

export interface LabOptions {
  /** 1..8, default 2 */
  readonly nodes?: number;
  /** Default "dlm" */
  readonly stack?: Stack;
  /** Only "off" can be had; it is the default. */
  readonly fencing?: "off";
  /** Processors of each node, default 1 */
  readonly cpus?: number;
  /** Memory of each node in MiB, default 1024 */
  readonly memory?: number;
  /** CLUSTERLOCK_OUT: a host directory every node can write, which remains. Default: a fresh one. */
  readonly log?: string;
  /** Aborting ends the lab; pending calls reject with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told what is going on, one line a call. Default: nobody is told. */
  readonly onProgress?: (line: string) => void;
}

export interface ResolvedOptions {
  readonly nodes: number;
  readonly stack: Stack;
  readonly fencing: "off";
  readonly cpus: number;
  readonly memory: number;
  readonly log: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

export const MAX_NODES = 8;
const MIN_MEMORY = 256;
const MAX_MEMORY = 1024 * 1024;
const MAX_CPUS = 64;

export function resolveOptions(options: LabOptions): ResolvedOptions {
  return {
    nodes: wholeNumber("nodes", options.nodes ?? 2, 1, MAX_NODES),
    stack: stackName(options.stack ?? "dlm"),
    fencing: fencingMode(options.fencing ?? "off"),
    cpus: wholeNumber("cpus", options.cpus ?? 1, 1, MAX_CPUS),
    memory: wholeNumber("memory", options.memory ?? 1024, MIN_MEMORY, MAX_MEMORY),
    log: options.log,
    signal: options.signal ?? new AbortController().signal,
    progress: options.onProgress ?? ((): void => undefined),
  };
}

/** The nodes a command is to start on, each once and in order. */
export function resolveOn(on: "all" | readonly number[], nodes: number): readonly number[] {
  if (on === "all") return Array.from({ length: nodes }, (_, index) => index + 1);
  if (on.length === 0) throw new LabOptionError("on: no node is named");
  for (const node of on) {
    if (!Number.isInteger(node) || node < 1 || node > nodes) {
      throw new LabOptionError(`on: there is no node ${node} among 1..${nodes}`);
    }
  }
  return [...new Set(on)].sort((a, b) => a - b);
}

export function stackName(name: string): Stack {
  const stack = STACKS.find((known) => known === name);
  if (stack === undefined) throw new LabOptionError(`stack: there is no "${name}"; known are ${STACKS.join(", ")}`);
  return stack;
}

export function fencingMode(mode: string): "off" {
  if (mode === "on") throw new LabOptionError("fencing: this version of the lab cannot fence; use off");
  if (mode !== "off") throw new LabOptionError(`fencing: "${mode}" is neither on nor off`);
  return mode;
}

function wholeNumber(what: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new LabOptionError(`${what}: ${value} is not a whole number in ${min}..${max}`);
  }
  return value;
}
