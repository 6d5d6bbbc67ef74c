import { onAnnouncement } from "./announcements";
import { controller } from "./controller";
import { readMembers } from "./members";
import { RecoveryProbe } from "./recovery";

/** What a watch tells. */
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
  readonly #probe: RecoveryProbe;
  readonly #ends: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #stalledSince: number | undefined;
  #members: readonly number[] | undefined;
  #watchesMembers = false;
  #over = false;

  constructor(lockspace: string, busy: () => boolean, events: WatchEvents) {
    this.#lockspace = lockspace;
    this.#busy = busy;
    this.#events = events;
    this.#probe = new RecoveryProbe(lockspace);
    this.#ends.push(
      onAnnouncement(lockspace, (action) => {
        if (action === "offline" || action === "remove") this.#lost("it was removed on this node");
        else if (action === undefined) this.#look();
      }),
      controller.add(() => {
        this.wake();
        this.#look();
      }),
    );
  }

  /** How the lockspace is this moment; undefined where sysfs does not say. */
  get state(): "running" | "stopped" | "gone" | undefined {
    return this.#probe.read();
  }

  /** There is something to lose from now on. */
  wake(): void {
    if (this.#timer || this.#over) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
      if (this.#busy() || this.#stalledSince !== undefined || controller.gone) this.wake();
    }, PERIOD_MS).unref();
  }

  /** Somebody wants to know of joins and departures. */
  async watchMembers(): Promise<void> {
    if (this.#watchesMembers) return;
    this.#watchesMembers = true;
    this.#members = await readMembers(this.#lockspace);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    for (const end of this.#ends) end();
    this.#probe.close();
  }

  #look(): void {
    if (this.#over) return;
    const state = this.#probe.read();
    if (state === "gone") {
      this.#lost("it is gone from this node");
      return;
    }
    if (state === "stopped" && this.#stalledSince === undefined) {
      this.#stalledSince = performance.now();
      this.#events.stalled();
    } else if (state === "running" && this.#stalledSince !== undefined) {
      const stalledMs = performance.now() - this.#stalledSince;
      this.#stalledSince = undefined;
      this.#events.resumed(stalledMs);
    }
    // The kernel stops all lockspaces when dlm_controld ends (fs/dlm/user.c:monitor_device_close()), and none of them
    // ever runs again on this node: the others have it fenced.
    if (state === "stopped" && controller.gone) this.#lost("dlm_controld has died, and the cluster fences this node");
    else if (this.#watchesMembers) void this.#compareMembers();
  }

  async #compareMembers(): Promise<void> {
    const now = await readMembers(this.#lockspace);
    const before = this.#members;
    if (!now || this.#over) return;
    this.#members = now;
    if (before && before.join() !== now.join()) this.#events.members(now, before);
  }

  #lost(why: string): void {
    if (this.#over) return;
    this.end();
    this.#events.lost(why);
  }
}
