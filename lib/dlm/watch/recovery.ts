import { closeSync, openSync, readSync } from "node:fs";

/** DLM_RS_DONE: this node has finished the last recovery. Source: fs/dlm/dlm_internal.h. */
const DONE = 0x40;

/**
 * Reads whether a lockspace runs on this node. The descriptor stays open, so that its end tells a lockspace that has
 * gone from one that was never to be seen. A read takes one spinlock in the kernel and never waits for recovery.
 * Source: fs/dlm/lockspace.c, `dlm_recover_status_show()`.
 */
export class RecoveryProbe {
  readonly #buffer = Buffer.alloc(32);
  #fd: number | undefined;

  constructor(lockspace: string, sysfs = "/sys/kernel/dlm") {
    try {
      this.#fd = openSync(`${sysfs}/${lockspace}/recover_status`, "r");
    } catch {
      // no sysfs in this container, or no right to read it: then nothing can be said
    }
  }

  /** `undefined`: cannot be told. "stopped": in recovery, or halted for want of a quorum, of fencing, of dlm_controld. */
  read(): "running" | "stopped" | "gone" | undefined {
    if (this.#fd === undefined) return undefined;
    try {
      const size = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, 0);
      const status = Number.parseInt(this.#buffer.toString("latin1", 0, size), 16);
      return (status & DONE) === 0 ? "stopped" : "running";
    } catch {
      return "gone";
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
