// The options that describe a lab, for `run` and `up`.

import type { LabOptions } from "../../lab";
import { fencingMode, stackName } from "../../lab/options";
import type { Values } from "./values";
import { NODES_RANGE, wholeNumber } from "./values";

export const LAB_OPTIONS = {
  nodes: { type: "string" },
  stack: { type: "string" },
  fencing: { type: "string" },
  disk: { type: "string", multiple: true },
  record: { type: "string" },
  kernel: { type: "string" },
  cpus: { type: "string" },
  memory: { type: "string" },
  log: { type: "string" },
  name: { type: "string" },
} as const;

type Described = Omit<LabOptions, "signal" | "onProgress">;

export function labOptions(values: Values<typeof LAB_OPTIONS>): Described {
  const described = {
    nodes: wholeNumber("--nodes", values.nodes, ...NODES_RANGE),
    stack: values.stack === undefined ? undefined : stackName(values.stack),
    fencing: values.fencing === undefined ? undefined : fencingMode(values.fencing),
    disks: values.disk,
    record: values.record,
    kernel: values.kernel,
    cpus: wholeNumber("--cpus", values.cpus, 1),
    memory: wholeNumber("--memory", values.memory, 1),
    log: values.log,
    name: values.name,
  };
  return Object.fromEntries(Object.entries(described).filter(([, value]) => value !== undefined));
}
