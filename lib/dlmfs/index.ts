export { DlmfsError, LockStateError } from "../errors";
export { Domain } from "./domain";
export type { DomainEvents, Exclusion, OpenDomainOptions, PendingRequest } from "./domain-options";
export { DOMAIN_LVB_SIZE, DomainLock, type DomainLockState } from "./lock";
export type {
  DomainLockMode,
  DomainLockOptions,
  DomainTryLockOptions,
  OnDomainBlocking,
  ReopenOptions,
} from "./lock-options";
export { DOMAIN_LOCK_NAME_MAX, DOMAIN_NAME_MAX } from "./names";
export type { Isolation } from "./opener";
export * from "./inspect";
export * from "./probe";
export * from "./value";
