// The cluster-driver door: what a program or a test may ask of a cluster, whoever runs the nodes.

import type { Readable, Writable } from "node:stream";

export const STACKS = ["dlm", "o2cb", "dlmfs-dlm", "none"] as const;
export type Stack = (typeof STACKS)[number];

/**
 * How a node was lost. "died": it went away by itself; "killed": somebody asked the cluster to cut its power; "fenced":
 * the cluster cut its power on behalf of its other nodes, or it fenced itself.
 */
export type Loss = "died" | "killed" | "fenced";

export interface ExitStatus {
  /** The process's own status; null when a signal or the loss of its node ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Not null when the node went away under the process. */
  readonly lost: Loss | null;
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

export interface KillOptions {
  /**
   * What becomes of writes to shared disks that the node's disks have taken and not flushed: "none" are lost (default: the
   * node dies, its disks keep power), "all" of them, or "some", sector by sector as `seed` decides.
   */
  readonly lose?: "none" | "some" | "all";
  /** A whole number; default 1. */
  readonly seed?: number;
}

export interface StartOptions {
  /** Milliseconds that one step of the boot may take; default: the driver's. */
  readonly timeout?: number;
}

/** Two nodes whose traffic to each other, both ways, a fault is for. */
export type Link = readonly [number, number];

export interface NodeStatus {
  readonly node: number;
  /** "failed": it is on, and its stack did not come up. */
  readonly state: "booting" | "up" | "failed" | "frozen" | "off";
  /** How it went off, when it did; null otherwise, and when it was never on. */
  readonly lost: Loss | null;
  /** The node that had it fenced, or whose program had its power cut. */
  readonly by: number | null;
  /** For a person: who fenced it, what it said at the end, why its stack is not up. */
  readonly detail: string;
}

export interface LinkStatus {
  readonly link: Link;
  /** Frames lost, in percent. */
  readonly loss: number;
  /** Milliseconds added each way. */
  readonly delay: number;
}

export interface ClusterStatus {
  readonly driver: string;
  readonly stack: Stack;
  readonly nodes: readonly NodeStatus[];
  /** Groups of nodes that hear only each other; null while all hear all. */
  readonly partition: readonly (readonly number[])[] | null;
  /** Links with a fault. */
  readonly links: readonly LinkStatus[];
}

/**
 * A cluster under test. Every fault resolves when it has taken effect; one that the driver cannot do rejects with a
 * LabError that says what it would need.
 */
export interface Cluster extends AsyncDisposable {
  /** 1..N */
  readonly nodes: readonly number[];
  readonly stack: Stack;
  /** The environment in which programs start on this node. */
  env(node: number): Readonly<Record<string, string>>;
  /** Starts a program. On a node that is off it is lost at once. */
  exec(node: number, argv: readonly string[], options?: ExecOptions): NodeProcess;
  /** Cuts the node's power; resolves when it is off. Its processes settle as lost: "killed". */
  kill(node: number, options?: KillOptions): Promise<void>;
  /** Boots a node that is off; resolves when its stack is up again. */
  start(node: number, options?: StartOptions): Promise<void>;
  /** Stops the node's processors; its clock goes on. The rest of the cluster sees a node that is silent. */
  freeze(node: number): Promise<void>;
  thaw(node: number): Promise<void>;
  /**
   * Cuts the cluster network, and no other, between groups of nodes. Nodes in no group form one more. It replaces the
   * partition before.
   */
  partition(groups: readonly (readonly number[])[]): Promise<void>;
  /** Ends every fault of the network: partition, loss and delay. */
  heal(): Promise<void>;
  /** Loses so many percent of the frames on a link; 0 ends that. */
  loss(link: Link, percent: number): Promise<void>;
  /** Adds so many milliseconds each way on a link; 0 ends that. */
  delay(link: Link, ms: number): Promise<void>;
  /** What the node's console has printed since the cluster began. */
  console(node: number): Promise<string>;
  status(): Promise<ClusterStatus>;
  /** Ends the cluster and everything on it. May be called again. */
  down(): Promise<void>;
  /** Ends a cluster that this program began, and lets go of one that it found. */
  [Symbol.asyncDispose](): Promise<void>;
}
