// Public entry point clusterlock/lab: a real cluster to develop and test against.

export type {
  Cluster,
  ClusterStatus,
  ExecOptions,
  ExitStatus,
  KillOptions,
  Link,
  LinkStatus,
  Loss,
  NodeProcess,
  NodeStatus,
  Stack,
  StartOptions,
} from "./cluster";
export { STACKS } from "./cluster";
export { LabError, LabOptionError } from "./errors";
export { runningLabs } from "./labs";
export { cleanCache } from "./image/clean";
export { fetchKernel } from "./image/fetch-kernel";
export type { DiskEvent, Recording } from "./recording";
export { readRecording } from "./recording";
export type { SshOptions } from "./ssh/connect";
export { connectSsh } from "./ssh/connect";
export type { SshHostSpec, SshInventory } from "./ssh/inventory";
export type { VagrantOptions } from "./vagrant/connect";
export { connectVagrant } from "./vagrant/connect";
export type { Fencing, LabOptions } from "./options";
export { MAX_NODES } from "./options";
export type { CommandOptions, RunOptions } from "./run";
export { run, runOn } from "./run";
export type { UpOptions } from "./up";
export { attach, up } from "./up";
