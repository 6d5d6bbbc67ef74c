import { onAnnouncement } from "../../fs-dlm/watch/announcements";
import { controller } from "../../fs-dlm/watch/controller";
import { readMembers } from "../../fs-dlm/watch/members";
import { RecoveryProbe } from "../../fs-dlm/watch/recovery";
import { tell } from "../../tell";

import { DeviceProbe } from "./device";

/** What a watch tells; never inside its constructor. What these throw becomes an uncaught exception. */
export interface WatchEvents {
  /** The lockspace stands still. */
  stalled(): void;
  /** It runs again, after so many milliseconds. */
  resumed(stalledMs: number): void;
  members(now: readonly number[], before: readonly number[]): void;
  /** It is not this node's any more. */
  lost(why: string): void;
}

/** How often a lockspace is looked at while there is something to lose, in milliseconds. */
const PERIOD_MS = 250;

/**
 * Watches over one lockspace for one handle. The kernel announces that a lockspace is taken away, and the end of
 * dlm_controld shows at once; that it stands still has to be looked for, which is done only while `busy()`.
 */
export class Watch {
  readonly #lockspace: string;
  readonly #events: WatchEvents;
  readonly #busy: () => boolean;
  readonly #configfs: string;
  readonly #recovery: RecoveryProbe;
  readonly #device: DeviceProbe;
  readonly #ends: (() => void)[] = [];
  #first: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stalledSince: number | undefined;
  #members: readonly number[] | undefined;
  #watchesMembers = false;
  #readsMembers = false;
  #over = false;

  constructor(lockspace: string, busy: () => boolean, events: WatchEvents, sysfs = "/sys") {
    this.#lockspace = lockspace;
    this.#busy = busy;
    this.#events = events;
    this.#configfs = `${sysfs}/kernel/config/dlm/cluster/spaces`;
    this.#device = new DeviceProbe(lockspace, sysfs);
    this.#recovery = new RecoveryProbe(lockspace, `${sysfs}/kernel/dlm`);
    this.#ends.push(() => {
      this.#recovery.close();
    });
    try {
      this.#listen();
    } catch (error) {
      this.end();
      throw error;
    }
    // What was announced before there was anybody to listen. Nothing else is looked for as yet: a lockspace that has
    // just been made is still in its first recovery, which is no news.
    this.#first = setImmediate(() => {
      if (this.state === "gone" || controller.gone) this.#look();
    }).unref();
  }

  /** How the lockspace is this moment; undefined where sysfs does not say. */
  get state(): "running" | "stopped" | "gone" | undefined {
    const state = this.#recovery.read();
    return state !== "gone" && this.#device.gone ? "gone" : state;
  }

  /** There is something to lose from now on. */
  wake(): void {
    if (this.#timer || this.#over) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
      if (!this.#over && this.#busy()) this.wake();
    }, PERIOD_MS).unref();
  }

  /** Somebody wants to know of joins and departures. */
  async watchMembers(): Promise<void> {
    if (this.#watchesMembers) return;
    this.#watchesMembers = true;
    await this.#compareMembers();
  }

  /** No event comes after it, and nothing stays open. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearImmediate(this.#first);
    clearTimeout(this.#timer);
    for (const end of this.#ends) end();
  }

  #listen(): void {
    this.#ends.push(
      onAnnouncement(this.#lockspace, (action) => {
        if (action === "offline" || action === "remove") this.#lost("it was removed on this node");
        else if (action === undefined) this.#look();
      }),
    );
    this.#ends.push(
      controller.add(() => {
        this.#look();
      }),
    );
  }

  #look(): void {
    if (this.#over) return;
    const state = this.state;
    if (state === "gone") {
      this.#lost("it was removed on this node");
      return;
    }
    this.#compareState(state);
    // The kernel stops all lockspaces when dlm_controld ends (fs/dlm/user.c:monitor_device_close()), and none of them
    // ever runs again on this node: the others have it fenced.
    if (state === "stopped" && controller.gone) this.#lost("dlm_controld has died, and the cluster fences this node");
    else if (this.#watchesMembers) void this.#compareMembers();
    // what has begun is to be seen to its end, whether or not there is anything to lose
    if (this.#stalledSince !== undefined || controller.gone) this.wake();
  }

  #compareState(state: "running" | "stopped" | undefined): void {
    if (state === "stopped" && this.#stalledSince === undefined) {
      this.#stalledSince = performance.now();
      tell(() => {
        this.#events.stalled();
      });
    } else if (state === "running" && this.#stalledSince !== undefined) {
      const stalledMs = performance.now() - this.#stalledSince;
      this.#stalledSince = undefined;
      tell(() => {
        this.#events.resumed(stalledMs);
      });
    }
  }

  // One reading at a time: an older one that ends later would undo what a newer one has found.
  async #compareMembers(): Promise<void> {
    if (this.#readsMembers) return;
    this.#readsMembers = true;
    const now = await readMembers(this.#lockspace, this.#configfs);
    this.#readsMembers = false;
    const before = this.#members;
    if (!now || this.#over) return;
    this.#members = now;
    if (!before || before.join() === now.join()) return;
    tell(() => {
      this.#events.members(now, before);
    });
  }

  #lost(why: string): void {
    if (this.#over) return;
    this.end();
    tell(() => {
      this.#events.lost(why);
    });
  }
}
