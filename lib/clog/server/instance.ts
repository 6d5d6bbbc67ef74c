import type { NativeRegions } from "../../native";
import type { DirtyLog, LogArguments, LogIdentity } from "../log/dirty-log";
import type { Flavour } from "../protocol/requests";

import { RegionSet } from "./region-set";
import { type Entry, type InstanceState, monotonic } from "./registry";

/** One table's use of a log: the kernel's `struct log_c`. */
export class LogInstance implements LogIdentity {
  readonly flavour: Flavour;
  readonly uuid: string;
  readonly luid: bigint;
  /** Of its CTR. */
  readonly words: readonly string[];
  state: InstanceState;
  resumedAt: number | undefined;
  changedAt: number;
  /** When the kernel last made sure that there is such a log, because it had lost its server. */
  reconnectedAt: number | undefined;
  /** Set when it has been made. */
  log: DirtyLog | undefined;
  parameters: LogArguments | undefined;
  /** As they were when they were found good. Sectors. */
  regionSize = 0;
  regionCount = 0;
  regions: NativeRegions | undefined;
  /** Its regions were to be restored, and were not there. */
  regionsLost = false;
  /** Another has taken its place, or its table is gone. */
  gone = false;
  /** Rejects with what its factory throws. */
  ready: Promise<DirtyLog> | undefined;
  /** The mirror. */
  device: { major: number; minor: number; name: string } | undefined;
  /** Regions of which the kernel was told that they are not in sync; not used when the receive thread answers. */
  readonly unsynced: RegionSet = new RegionSet();
  /** Made again while the kernel may be between its marks and the end of its flush: which regions it has marked, nobody knows. */
  unsure = false;
  /** A predecessor has left it running, and nothing has shown since that its mirror still was. */
  presumed = false;
  /** How often regions were marked by way of the server. */
  marks = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ flavour, uuid, luid, words, state, resumedAt, changedAt }: Entry) {
    this.flavour = flavour;
    this.uuid = uuid;
    this.luid = luid;
    this.words = words;
    this.state = state;
    this.resumedAt = resumedAt;
    this.changedAt = changedAt;
  }

  /** Whether I/O can be going on. */
  get running(): boolean {
    return this.state === "active" || this.state === "presuspended";
  }

  become(state: InstanceState): void {
    this.state = state;
    this.presumed = false;
    this.changedAt = monotonic();
    if (state === "active") this.resumedAt = this.changedAt;
  }

  /** Steps of its life happen one after the other. */
  control<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#last.then(act);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
