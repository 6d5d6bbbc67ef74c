export * from "./dlm";
export * from "./dlmfs";
export { ClogError, DlmError, DlmfsError, LockStateError } from "./errors";
export { LOCK_MODES, type LockMode } from "./modes";
