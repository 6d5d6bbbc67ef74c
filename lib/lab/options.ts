// What a lab can be asked for, with defaults and limits.

import path from "node:path";

import type { Stack } from "./cluster";
import { STACKS } from "./cluster";
import { MAX_DISKS, parseSize } from "./disk-size";
import { LabOptionError } from "./errors";
import { currentDirectory } from "./paths";

export interface LabOptions {
  /** 1..8, default 2 */
  readonly nodes?: number;
  /** Default "dlm" */
  readonly stack?: Stack;
  /**
   * Default "on": a node that falls silent is powered off before its locks are given to others. "off" is for showing that a
   * checker notices what happens then. Stack o2cb cannot be without: its nodes fence themselves.
   */
  readonly fencing?: Fencing;
  /** Sizes of raw disks that all nodes share, /dev/vda, /dev/vdb and so on: bytes, or a number with K, M, G or T. */
  readonly disks?: readonly (string | number)[];
  /** A file to be made that holds all writes to the shared disks and all flushes, in order: see `readRecording`. */
  readonly record?: string;
  /** A directory that a kernel package was unpacked into; default: the newest of this machine's Debian. */
  readonly kernel?: string;
  /** Processors of each node, default 1 */
  readonly cpus?: number;
  /** Memory of each node in MiB, default 1024 */
  readonly memory?: number;
  /** CLUSTERLOCK_OUT: a host directory every node can write, which remains. Default: a fresh one. */
  readonly log?: string;
  /** By which `attach` finds it: letters, digits, ".", "_" and "-". Default: one of its own. */
  readonly name?: string;
  /** Aborting ends the lab; pending calls reject with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told what is going on, one line a call. Default: nobody is told. */
  readonly onProgress?: (line: string) => void;
}

export type Fencing = "on" | "off";

/** All that describes a lab: it can travel to the process that runs it. */
export interface LabPlan {
  readonly nodes: number;
  readonly stack: Stack;
  readonly fencing: Fencing;
  /** Bytes of each. */
  readonly disks: readonly number[];
  readonly record: string | undefined;
  readonly kernel: string | undefined;
  readonly cpus: number;
  readonly memory: number;
  readonly log: string | undefined;
  readonly name: string | undefined;
}

export const MAX_NODES = 8;
const MIN_MEMORY = 256;
const MAX_MEMORY = 1024 * 1024;
const MAX_CPUS = 64;

export function planLab(options: LabOptions): LabPlan {
  const stack = stackName(options.stack ?? "dlm");
  const fencing = fencingMode(options.fencing ?? "on");
  if (stack === "o2cb" && fencing === "off") {
    throw new LabOptionError("fencing: nodes of stack o2cb fence themselves; it cannot be off");
  }
  if (options.record !== undefined && (options.disks ?? []).length === 0) {
    throw new LabOptionError("record: there is no shared disk to record");
  }
  return {
    nodes: wholeNumber("nodes", options.nodes ?? 2, 1, MAX_NODES),
    stack,
    fencing,
    disks: diskSizes(options.disks ?? []),
    record: file("record", options.record),
    kernel: directory("kernel", options.kernel),
    cpus: wholeNumber("cpus", options.cpus ?? 1, 1, MAX_CPUS),
    memory: wholeNumber("memory", options.memory ?? 1024, MIN_MEMORY, MAX_MEMORY),
    log: directory("log", options.log),
    name: options.name === undefined ? undefined : labName(options.name),
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

export function fencingMode(mode: string): Fencing {
  if (mode !== "on" && mode !== "off") throw new LabOptionError(`fencing: "${mode}" is neither on nor off`);
  return mode;
}

export function labName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name)) return name;
  throw new LabOptionError(`name: "${name}" is not 1 to 32 letters, digits, ".", "_" or "-"`);
}

function diskSizes(sizes: readonly (string | number)[]): number[] {
  if (sizes.length > MAX_DISKS) throw new LabOptionError(`disk: ${sizes.length} are more than ${MAX_DISKS}`);
  return sizes.map((size) => parseSize(String(size)));
}

function directory(what: string, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  if (name === "") throw new LabOptionError(`${what}: the directory's name is empty`);
  const full = path.isAbsolute(name) ? path.normalize(name) : path.resolve(currentDirectory(), name);
  // of the kernel's, or the one that every node has a layer of its own over
  if (what === "log" && /^\/(?:(?:proc|sys)(?:\/.*)?)?$/.test(full)) {
    throw new LabOptionError(`${what}: nodes cannot write results to ${full}`);
  }
  return full;
}

function file(what: string, name: string | undefined): string | undefined {
  if (name === "") throw new LabOptionError(`${what}: the file's name is empty`);
  return name === undefined ? undefined : path.resolve(currentDirectory(), name);
}

function wholeNumber(what: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new LabOptionError(`${what}: ${value} is not a whole number in ${min}..${max}`);
  }
  return value;
}
