// The environment that scripts/guest runs with on a QEMU node.

import path from "node:path";

import { nodeEnv } from "../node-env";
import type { LabPlan } from "../options";
import { NODE_LAB_SOCKET, packageRoot } from "../paths";
import { HEARTBEAT_DEVICE, ipAddress } from "./args";

const FENCE_AGENT = path.join(packageRoot, "scripts/lab/fence-agent");
const HEARTBEAT_BYTES = 1024 * 1024;

export class GuestEnvironment {
  readonly #plan: LabPlan;
  readonly #out: string;

  constructor(plan: LabPlan, out: string) {
    this.#plan = plan;
    this.#out = out;
  }

  /** The size of the disk that o2cb's heartbeat has for itself; a node alone beats on a loop device. */
  get heartbeatBytes(): number {
    return this.#plan.stack === "o2cb" && this.#plan.nodes > 1 ? HEARTBEAT_BYTES : 0;
  }

  /** `online`: nodes, this one included, that it can expect to meet. */
  setup(node: number, online: number, patience: number): Readonly<Record<string, string>> {
    const { nodes, stack, fencing } = this.#plan;
    const addresses = Array.from({ length: nodes }, (_, index) => ipAddress(index + 1));
    return {
      ...nodeEnv({ node, nodes, stack, out: this.#out, lab: NODE_LAB_SOCKET }, process.env),
      CLUSTERLOCK_ADDRESSES: addresses.join(" "),
      CLUSTERLOCK_INTERFACE: "eth0",
      CLUSTERLOCK_FENCING: fencing,
      CLUSTERLOCK_FENCE_AGENT: FENCE_AGENT,
      CLUSTERLOCK_HEARTBEAT: this.heartbeatBytes > 0 ? HEARTBEAT_DEVICE : "",
      CLUSTERLOCK_ONLINE: String(online),
      CLUSTERLOCK_PATIENCE: String(Math.round(patience)),
    };
  }
}
