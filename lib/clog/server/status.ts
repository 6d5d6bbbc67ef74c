import type { LogArguments, LogDescription, LogIdentity } from "../log/dirty-log";
import type { Flavour } from "../protocol/requests";

import type { LogInstance } from "./instance";

/** What a server has of a log: of one table's use of it. */
export interface LogStatus extends LogIdentity, LogArguments {
  flavour: Flavour;
  /** Its table is being loaded or was never resumed; its mirror runs; nothing is going on. */
  state: "created" | "active" | "suspended";
  /** The mirror, when the log was resumed. */
  device: { major: number; minor: number; name: string } | undefined;
  /** Sectors. */
  regionSize: number;
  regionCount: number;
  /** What the log says of itself. */
  description: LogDescription | undefined;
}

/** Undefined of a log that is still being made. */
export function statusOf(instance: LogInstance): LogStatus | undefined {
  const { uuid, luid, flavour, state, parameters, log, regionSize, regionCount, device } = instance;
  if (!log || !parameters || regionSize === 0) return undefined;
  return {
    ...{ uuid, luid, flavour, ...parameters },
    state: state === "presuspended" ? "active" : state,
    device: device && { major: device.major, minor: device.minor, name: device.name },
    regionSize,
    regionCount,
    description: log.describe?.(),
  };
}
