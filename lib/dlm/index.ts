export { DlmError, LockStateError } from "../errors";
export { LOCK_MODES, type LockMode } from "../modes";
export { type ConvertOptions, Lock, type OnBlocking, type ReleaseOptions } from "./lock";
export { type LockOptions, Lockspace, type OpenOptions, type TryLockOptions } from "./lockspace";
export { LVB_SIZE } from "./lvb";
export { LOCKSPACE_NAME_MAX, RESOURCE_NAME_MAX, type ResourceName } from "./names";
