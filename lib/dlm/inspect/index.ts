// What the kernel and dlm_controld say of lockspaces and locks, as data.

export { type ClusterStatus, type DaemonStatus, type NodeStatus, clusterStatus } from "./cluster-status";
export type { Change, ChangeWait, LockspaceFlags, LockspaceNode, PendingChange } from "./controld/layout";
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
} from "./dump";
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
} from "./lockspaces";
export type { ClusterAddress } from "./node-id";
export type { ControldOptions } from "./options";
export { type Orphans, orphansOf } from "./orphans";
export type { Problem } from "./problems";
export { readResourceName, writeResourceName } from "./resource-names";
export { type Holders, whoHolds } from "./who-holds";
