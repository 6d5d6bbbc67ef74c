import { closeSync, openSync, readSync } from "node:fs";

/** DLM_RS_DONE: this node has finished the last recovery. Source: fs/dlm/dlm_internal.h. */
const DONE = 0x40;

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/**
 * Reads whether a lockspace runs on this node. The descriptor stays open, so that its end tells a lockspace that has
 * gone from one that was never to be seen. A read takes one spinlock in the kernel and never waits for recovery.
 * Source: fs/dlm/lockspace.c, `dlm_recover_status_show()`.
 */
export class RecoveryProbe {
  readonly #buffer = Buffer.alloc(32);
  readonly #path: string;
  #fd: number | undefined;
  #mayOpen = true;

  constructor(lockspace: string, sysfs = "/sys/kernel/dlm") {
    this.#path = `${sysfs}/${lockspace}/recover_status`;
    this.#open();
  }

  /** `undefined`: cannot be told. "stopped": in recovery, or halted for want of a quorum, of fencing, of dlm_controld. */
  read(): "running" | "stopped" | "gone" | undefined {
    this.#open();
    if (this.#fd === undefined) return undefined;
    try {
      const size = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, 0);
      const status = Number.parseInt(this.#buffer.toString("latin1", 0, size), 16);
      if (Number.isNaN(status)) return undefined;
      return (status & DONE) === 0 ? "stopped" : "running";
    } catch (error) {
      // ENODEV: what was opened is no more. All else, such as ENOMEM, is about this one read.
      return codeOf(error) === "ENODEV" ? "gone" : undefined;
    }
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    this.#mayOpen = false;
    if (fd !== undefined) closeSync(fd);
  }

  #open(): void {
    if (this.#fd !== undefined || !this.#mayOpen) return;
    try {
      this.#fd = openSync(this.#path, "r");
    } catch (error) {
      // No sysfs in this container, or no right to read it: that stays so. For want of descriptors it is tried again.
      this.#mayOpen = codeOf(error) === "EMFILE" || codeOf(error) === "ENFILE";
    }
  }
}
