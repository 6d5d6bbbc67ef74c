// A node's way into the cluster: by our own set-up, or by waiting for the administrator's.

import type { Inventory } from "./inventory";

export function stackScripts({ setup, stack }: Inventory): string[] {
  return setup ? ["network.sh", `stack-${stack}.sh`] : ["ready.sh"];
}

/** Parameters of the scripts; see scripts/guest/common.sh. */
export function scriptParameters({ hosts }: Inventory, patience: number): Record<string, string> {
  return {
    CLUSTERLOCK_ADDRESSES: hosts.map(({ address }) => address).join(" "),
    // the administrator has set up the network
    CLUSTERLOCK_INTERFACE: "",
    // nobody has said how these machines are to be fenced
    CLUSTERLOCK_FENCING: "off",
    CLUSTERLOCK_PATIENCE: String(patience),
  };
}
