import { statSync } from "node:fs";

/**
 * Knows whether a lockspace's device is still registered. The kernel takes it away as the first thing of a removal,
 * before it announces that and before it waits for open handles; a lockspace of the same name gets no device before
 * they are closed. Source: fs/dlm/lockspace.c, `release_lockspace()`.
 */
export class DeviceProbe {
  readonly #device: string;
  readonly #control: string;
  readonly #lockspace: string;
  #seen: number | undefined;

  constructor(lockspace: string, sysfs = "/sys") {
    this.#device = `${sysfs}/class/misc/dlm_${lockspace}/dev`;
    this.#control = `${sysfs}/class/misc/dlm-control`;
    this.#lockspace = `${sysfs}/kernel/dlm/${lockspace}`;
    this.#seen = inodeOf(this.#device) ?? undefined;
  }

  /** It was taken away. False as well where nothing can be told. */
  get gone(): boolean {
    const now = inodeOf(this.#device);
    if (now === undefined) return false;
    if (now !== null) return now !== (this.#seen ??= now);
    // Its absence says something only where such devices can be seen, and the lockspace itself now or earlier.
    return isThere(this.#control) && (this.#seen !== undefined || isThere(this.#lockspace));
  }
}

const isThere = (path: string): boolean => typeof inodeOf(path) === "number";

// Null: there is none; undefined: cannot be told. Unlike open(), stat() needs no descriptor, of which a process can run
// out; and sysfs gives an inode's number to nothing else later.
function inodeOf(path: string): number | null | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
  } catch {
    return undefined;
  }
}
