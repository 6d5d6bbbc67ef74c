export { DlmError, LockStateError } from "../errors";
export { LOCK_MODES, type LockMode } from "../modes";
export { Lock, type LockState } from "./lock";
export type {
  AdoptOptions,
  ConvertOptions,
  LockOptions,
  OnBlocking,
  ReleaseOptions,
  TryConvertOptions,
  TryLockOptions,
} from "./lock-options";
export { Lockspace } from "./lockspace";
export type { CreateOptions, LockspaceEvents, OpenOptions, PurgeOptions, RemoveOptions } from "./lockspace-options";
export { LVB_SIZE } from "./lvb";
export * from "./lvb-codecs";
export { LOCKSPACE_NAME_MAX, RESOURCE_NAME_MAX, type ResourceName } from "./names";
export type { DeadlockAction } from "./request-flags";
export * from "./inspect";
