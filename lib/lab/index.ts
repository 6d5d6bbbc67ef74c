// Public entry point clusterlock/lab: a real cluster to develop and test against.

export type { Cluster, ExecOptions, ExitStatus, NodeProcess, Stack } from "./cluster";
export { STACKS } from "./cluster";
export { LabError, LabOptionError } from "./errors";
export { fetchKernel } from "./image/fetch-kernel";
export type { LabOptions } from "./options";
export { MAX_NODES } from "./options";
export type { CommandOptions, RunOptions } from "./run";
export { run, runOn } from "./run";
export { up } from "./up";
