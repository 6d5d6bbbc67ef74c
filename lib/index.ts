export * from "./dlm";
export * from "./dlmfs";
export { DlmError, DlmfsError, LockStateError } from "./errors";
export { LOCK_MODES, type LockMode } from "./modes";
