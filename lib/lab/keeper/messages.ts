// What a caller and the keeper of a lab say to each other.

import type { Cluster, Stack } from "../cluster";
import type { LabPlan } from "../options";
import type { FromProcess, ToProcess } from "../wire/process-messages";

/** Both ends have to be of one version: a lab can outlive the program that began it. */
export interface LabFacts {
  readonly version: string;
  readonly name: string;
  /** The lab's socket, on the machine that runs it. */
  readonly socket: string;
  readonly nodes: readonly number[];
  readonly stack: Stack;
  readonly out: string;
}

/** Verbs of the door that a caller may ask for; the keeper adds to them what only it can do. */
export type Verb = keyof Pick<
  Cluster,
  "kill" | "start" | "freeze" | "thaw" | "partition" | "heal" | "loss" | "delay" | "console" | "status" | "down"
>;
export type KeeperVerb = Verb | "keepLogs";

export type ToKeeper =
  /** The first word of the one who starts the keeper. `keep`: the lab outlives that connection. */
  | { t: "boot"; plan: LabPlan; keep: boolean }
  | { t: "exec"; id: number; node: number; argv: string[]; cwd: string; env: Record<string, string> }
  | ToProcess
  | { t: "call"; id: number; verb: KeeperVerb; args: unknown[] };

export type FromKeeper =
  | { t: "lab"; facts: LabFacts }
  /** The stack is up on all nodes: the answer to "boot". */
  | { t: "ready" }
  | { t: "progress"; line: string }
  | FromProcess
  | { t: "done"; id: number; value: unknown }
  /** Without an id: of "boot". */
  | { t: "failed"; id: number | null; error: WireError };

export interface WireError {
  readonly kind: "lab" | "option" | "internal";
  readonly message: string;
}
