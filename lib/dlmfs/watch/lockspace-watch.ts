import { ROOTS } from "../../fs-dlm/inspect/roots";
import { onAnnouncement } from "../../fs-dlm/watch/announcements";
import { controller } from "../../fs-dlm/watch/controller";
import { RecoveryProbe } from "../../fs-dlm/watch/recovery";

import { DomainWatch } from "./domain-watch";

/** Watches over the lockspace under a domain on fs/dlm. It has no device: the mount locks from within the kernel. */
export class LockspaceWatch extends DomainWatch {
  readonly #recovery: RecoveryProbe;
  readonly #ends: (() => void)[] = [];
  #stalled = false;

  constructor(lockspace: string) {
    super();
    this.#recovery = new RecoveryProbe(lockspace, `${ROOTS.sysfs}/kernel/dlm`);
    const look = (): void => {
      this.look();
    };
    try {
      this.#ends.push(
        onAnnouncement(lockspace, (action) => {
          if (action === "offline" || action === "remove") this.lose("its lockspace was removed on this node");
          else if (action === undefined) look();
        }),
      );
      this.#ends.push(controller.add(look));
    } catch (error) {
      this.end();
      throw error;
    }
  }

  protected look(): void {
    if (this.over) return;
    const state = this.#recovery.read();
    if (state === "gone") {
      this.lose("its lockspace was removed on this node");
      return;
    }
    if (state !== undefined && (state === "stopped") !== this.#stalled) {
      const stalled = (this.#stalled = !this.#stalled);
      this.say(({ stall }) => stall?.(stalled));
    }
    // fs/dlm/user.c, monitor_device_close(): none of the lockspaces that stopped then ever runs again on this node
    if (state === "stopped" && controller.gone) this.lose("dlm_controld has died, and the cluster fences this node");
  }

  protected release(): void {
    this.#recovery.close();
    for (const end of this.#ends) end();
  }
}
