// What a node has of ocfs2_dlmfs, and what it lacks: docs/dlmfs-probe.md.

export type { Finding as ProbeFinding, FindingCode as ProbeFindingCode, Unread } from "./findings";
export type { FsDlmStatus } from "./fs-dlm";
export type { HungTaskSettings } from "./hung-task";
export type { ModuleState } from "./modules";
export type { DlmfsMount } from "./mounts";
export type { O2cbNode, O2cbRegion, O2cbStatus } from "./o2cb";
export { type DlmfsProbe, type ProbeOptions, probe } from "./probe";
export type { Capabilities as DlmfsCapabilities, StackStatus } from "./stack";
