// What the nodes of one lab have in common, and the machine that makes one of them.

import path from "node:path";

import type { LabPlan } from "../options";
import { packageRoot } from "../paths";
import type { MachineSpec } from "./args";
import { AGENT } from "./host";
import type { NodeLogs } from "./node-logs";
import type { OutDir } from "./out-dir";
import type { RunDir } from "./run-dir";

export interface Hardware extends Pick<MachineSpec, "accel" | "kernel" | "initramfs" | "layer"> {
  /** The directory that holds <release>/ with the kernel's modules. */
  readonly modules: string;
  /** uname -r */
  readonly release: string;
}

interface Attachments extends Pick<MachineSpec, "disks" | "heartbeat"> {
  readonly logs: NodeLogs;
}

export function machineSpec(
  node: number,
  plan: LabPlan,
  { modules, accel, kernel, initramfs, layer }: Hardware,
  out: OutDir,
  runDir: RunDir,
  { logs, disks, heartbeat }: Attachments,
): MachineSpec {
  return {
    ...{ node, accel, kernel, initramfs, layer, disks, heartbeat },
    cpus: plan.cpus,
    memory: plan.memory,
    out: out.path,
    consoleLog: logs.file(node, "console"),
    systemLog: logs.file(node, "system"),
    controlSocket: runDir.file(`n${node}.control`),
    networkSocket: runDir.file(`n${node}.net`),
    parameters: {
      LAB_NODE: String(node),
      LAB_OUT: out.path,
      LAB_MODULES: modules,
      LAB_SCRIPTS: path.join(packageRoot, "scripts"),
      LAB_NODE_BINARY: process.execPath,
      LAB_AGENT: AGENT,
    },
  };
}
