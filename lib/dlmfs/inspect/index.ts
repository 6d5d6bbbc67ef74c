// What the kernel says of a domain's locks and of those who wait for them, as data.

export { type DomainDumpOptions, domainDump } from "./domain-dump";
export type {
  DomainDump,
  DomainLockEntry,
  DomainRecovery,
  DomainResource,
  DomainStack,
  DomainValue,
  O2dlmLock,
  O2dlmResource,
  O2dlmResourceState,
  OpenFile,
} from "./dump";
export type { O2dlmRecovery, O2dlmState } from "./o2dlm/dlm-state";
export type { WaitBlocker } from "./wait/blockers";
export {
  type ExplainWaitOptions,
  type OpenerTask,
  type WaitingRequest,
  explainWait,
  explainWaits,
} from "./wait/explain-wait";
export type { WaitCause, WaitExplanation } from "./wait/explanation";
export type { SleepingTask } from "./wait/task";
export { type DomainHolder, type DomainHolders, holdersOf, whoHoldsDomainLock } from "./who-holds";
