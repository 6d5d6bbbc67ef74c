// What the kernel and dlm_controld say of lockspaces and locks, as data.

export {
  type ClusterStatus,
  type DaemonStatus,
  type NodeStatus,
  clusterStatus,
} from "../../fs-dlm/inspect/cluster-status";
export type {
  Change,
  ChangeWait,
  LockspaceFlags,
  LockspaceNode,
  PendingChange,
} from "../../fs-dlm/inspect/controld/layout";
export type {
  DumpSource,
  DumpedLock,
  DumpedProcess,
  DumpedResource,
  DumpedValue,
  InFlight,
  InactiveResource,
  LockDump,
  MessageType,
} from "../../fs-dlm/inspect/dump";
export { type Deadlock, type DeadlockStep, findDeadlocks } from "./graph/deadlocks";
export { waitForDot } from "./graph/dot";
export {
  type Blocker,
  type GraphLock,
  type LockOwner,
  type Wait,
  type WaitForGraph,
  waitForGraph,
} from "./graph/wait-for";
export { type LockDumpOptions, lockDump } from "./lock-dump";
export {
  type LockspaceControl,
  type LockspaceInfo,
  type LockspaceList,
  type LockspaceMember,
  type RecoverStatus,
  listLockspaces,
} from "../../fs-dlm/inspect/lockspaces";
export type { ClusterAddress } from "../../fs-dlm/inspect/node-id";
export type { ControldOptions } from "../../fs-dlm/inspect/options";
export { type Orphans, orphansOf } from "./orphans";
export type { Problem } from "../../fs-dlm/inspect/problems";
export { readResourceName, writeResourceName } from "../../fs-dlm/inspect/resource-names";
export { type Holders, whoHolds } from "./who-holds";
