export { DlmError, LockStateError } from "../errors";
export { LOCK_MODES, type LockMode } from "../modes";
export { Lock, type ReleaseOptions } from "./lock";
export { Lockspace, type OpenOptions } from "./lockspace";
export { LVB_SIZE } from "./lvb";
export { LOCKSPACE_NAME_MAX, RESOURCE_NAME_MAX, type ResourceName } from "./names";
export type { ConvertOptions, LockOptions, OnBlocking, TryLockOptions } from "./options";
