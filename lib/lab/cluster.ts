// The cluster-driver door: what a program or a test may ask of a cluster, whoever runs the nodes.

import type { Readable, Writable } from "node:stream";

export const STACKS = ["dlm", "none"] as const;
export type Stack = (typeof STACKS)[number];

export interface ExitStatus {
  /** The process's own status; null when a signal or the loss of its node ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** "died": the node went away under the process; "killed": somebody asked the cluster to cut its power. */
  readonly lost: "died" | "killed" | null;
}

export interface ExecOptions {
  /** Default: the caller's working directory; it is the same path on every node. */
  readonly cwd?: string;
  /** Added to (and stronger than) the node's own environment, see `Cluster.env`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A process on a node. As with ChildProcess, a stream that nobody reads stops the process when its pipe is full. */
export interface NodeProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Never rejects. Output written before the end may still be on its way: it ends with the streams. */
  readonly exit: Promise<ExitStatus>;
  /** Sends a signal to the process (not to its children); nothing happens when it has ended. */
  kill(signal?: NodeJS.Signals): void;
}

export interface Cluster extends AsyncDisposable {
  /** 1..N */
  readonly nodes: readonly number[];
  readonly stack: Stack;
  /** The environment in which programs start on this node. */
  env(node: number): Readonly<Record<string, string>>;
  exec(node: number, argv: readonly string[], options?: ExecOptions): NodeProcess;
  /** Cuts the node's power. Its processes settle as lost: "killed". */
  kill(node: number): Promise<void>;
  /** Ends the cluster and everything on it. May be called again. */
  down(): Promise<void>;
}
