// dlm_controld's view of the cluster.

import { CONTROLD_TIMEOUT_MS, ask, controldProblem } from "./controld/ask";
import { COMMAND, type StateRecord, decodeStates } from "./controld/layout";
import { type ClusterAddress, clusterAddresses, clusterDirectory } from "./node-id";
import type { Problem } from "./problems";
import { type ControldOptions, checkTimeout } from "./options";
import { readText } from "./reading";

/** What dlm_controld says of itself. Source: dlm_controld/daemon_cpg.c, `print_state_daemon()`. */
export interface DaemonStatus {
  /** Its node. */
  node: number;
  /** Nodes whose dlm_controld runs. */
  members: number;
  joined: number;
  removed: number;
  /** Corosync's sequence numbers of the membership, as the daemon's group and as the cluster have it. */
  daemonRing: number;
  clusterRing: number;
  quorate: boolean;
  /** Of a fencing agent that runs, 0 for none. */
  fencePid: number;
  /** True just after its start: it has yet to learn who is being fenced. */
  fencingUnknown: boolean;
  /** Nodes that left although they have lockspaces. */
  zombies: number;
  /** Its clock in seconds, which `addedAt` and the like are in. */
  monotonicSeconds: number;
  /** Parts of the cluster that had been apart have met, and somebody has to give way. */
  statefulMergeWait: boolean;
}

/** What dlm_controld knows of a node. Source: `print_state_daemon_node()`. Times in seconds, 0 for never. */
export interface NodeStatus {
  node: number;
  member: boolean;
  /** It was in the cluster when this dlm_controld started, and has not been seen since. */
  startup: boolean;
  killed: boolean;
  leftReason: string;
  needsFencing: boolean;
  /** Fencing waits: for quorum, for `post_join_delay`, or for another node to do it. */
  delaysFencing: boolean;
  /** Of the agent that fences it, 0 for none. */
  fencePid: number;
  fencePidWait: boolean;
  fenceResultWait: boolean;
  /** The node that fences it, or tried last, 0 for none; the node that has. */
  fenceActor: number;
  fencedBy: number;
  /** By the daemon's own clock. */
  addedAt: number;
  removedAt: number;
  failedAt: number;
  fencedAt: number;
  /** Since 1970. */
  failedWalltime: number;
  fencedWalltime: number;
}

export interface ClusterStatus {
  /** The cluster's name, as the kernel was told. */
  name: string | undefined;
  /** Undefined: dlm_controld could not be asked. */
  daemon: DaemonStatus | undefined;
  /** As dlm_controld sees them, by id. */
  nodes: NodeStatus[] | undefined;
  /** As the kernel knows them, by id. */
  addresses: ClusterAddress[] | undefined;
  /** What keeps the cluster from going on; empty when nothing does, undefined when dlm_controld could not be asked. */
  waitsFor: ("quorum" | "membership" | "fencing" | "merge")[] | undefined;
  problems: Problem[];
}

/**
 * The state of the cluster as this node's dlm_controld sees it. Needs no privilege.
 *
 * @throws {TypeError | RangeError} a wrong option
 */
export async function clusterStatus(options?: ControldOptions): Promise<ClusterStatus> {
  const timeoutMs = checkTimeout(options, CONTROLD_TIMEOUT_MS);
  const problems: Problem[] = [];
  const [name, addresses, states] = await Promise.all([
    readText(`${clusterDirectory()}/cluster_name`, problems),
    clusterAddresses(problems),
    ask({ command: COMMAND.status }, timeoutMs)
      .then(decodeStates)
      .catch((error: unknown) => {
        problems.push(controldProblem(error));
        return undefined;
      }),
  ]);
  const own = states?.find(({ type }) => type === "daemon");
  const daemon = own && daemonStatus(own);
  const nodes = states && nodeStatuses(states);
  return { name, daemon, nodes, addresses, waitsFor: daemon && waits(daemon, nodes ?? []), problems };
}

const number = ({ values }: StateRecord, key: string): number => Number(values.get(key) ?? 0);
const flag = (record: StateRecord, key: string): boolean => number(record, key) !== 0;

function daemonStatus(record: StateRecord): DaemonStatus {
  return {
    node: record.node,
    members: number(record, "member_count"),
    joined: number(record, "joined_count"),
    removed: number(record, "remove_count"),
    daemonRing: number(record, "daemon_ringid"),
    clusterRing: number(record, "cluster_ringid"),
    quorate: flag(record, "quorate"),
    fencePid: number(record, "fence_pid"),
    fencingUnknown: flag(record, "fence_in_progress_unknown"),
    zombies: number(record, "zombie_count"),
    monotonicSeconds: number(record, "monotime"),
    statefulMergeWait: flag(record, "stateful_merge_wait"),
  };
}

function nodeStatuses(states: readonly StateRecord[]): NodeStatus[] {
  const startup = new Set(states.filter(({ type }) => type === "startup").map(({ node }) => node));
  const known = states.filter(({ type }) => type === "node");
  const only = states.filter(({ type, node }) => type === "startup" && !known.some((other) => other.node === node));
  return [...known, ...only].map((record) => nodeStatus(record, startup)).sort((a, b) => a.node - b.node);
}

function nodeStatus(record: StateRecord, startup: ReadonlySet<number>): NodeStatus {
  return {
    node: record.node,
    member: flag(record, "member"),
    startup: startup.has(record.node),
    killed: flag(record, "killed"),
    leftReason: record.values.get("left_reason") ?? "unknown",
    needsFencing: flag(record, "need_fencing"),
    delaysFencing: flag(record, "delay_fencing"),
    fencePid: number(record, "fence_pid"),
    fencePidWait: flag(record, "fence_pid_wait"),
    fenceResultWait: flag(record, "fence_result_wait"),
    fenceActor: number(record, "fence_actor_last"),
    fencedBy: number(record, "fence_actor_done"),
    addedAt: number(record, "add_time"),
    removedAt: number(record, "rem_time"),
    failedAt: number(record, "fail_monotime"),
    fencedAt: number(record, "fence_monotime"),
    failedWalltime: number(record, "fail_walltime"),
    fencedWalltime: number(record, "fence_walltime"),
  };
}

function waits(daemon: DaemonStatus, nodes: readonly NodeStatus[]): NonNullable<ClusterStatus["waitsFor"]> {
  const found: NonNullable<ClusterStatus["waitsFor"]> = [];
  if (!daemon.quorate) found.push("quorum");
  if (daemon.daemonRing !== daemon.clusterRing) found.push("membership");
  if (daemon.fencingUnknown || nodes.some(({ needsFencing }) => needsFencing)) found.push("fencing");
  if (daemon.statefulMergeWait) found.push("merge");
  return found;
}
