// What the lab and the agent on a node say to each other, over whatever connects them.

import type { FromProcess, ToProcess } from "../wire/process-messages";

/** One connection of a node's program to the lab. `d` is base64. */
export type TunnelMessage =
  | { t: "tunnel"; id: number; d: string }
  /** The sender will send no more. */
  | { t: "tunnel-end"; id: number };

export type ToAgent =
  | { t: "exec"; id: number; argv: string[]; cwd: string; env: Record<string, string> }
  | ToProcess
  | TunnelMessage
  /** The answer to "fence": null when the victim is off. */
  | { t: "fenced"; id: number; reason: string | null }
  | { t: "clock" }
  | { t: "clock-set"; to: number };

export type FromAgent =
  | { t: "hello" }
  | FromProcess
  | TunnelMessage
  | { t: "tunnel-open"; id: number }
  | { t: "fence"; id: number; victim: number }
  | { t: "clock"; at: number };
