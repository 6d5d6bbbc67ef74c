// The daemon's pidfile. Programs that ask whether a cluster log daemon runs look at the lock, not at the contents: LVM 2.02
// (lib/misc/lvm-wrappers.c: cmirrord_is_running, libdaemon/server/daemon-server.c) opens the file and asks with F_GETLK
// who keeps it from a write lock.

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";

import { constants as os } from "node:os";

import { ClogError } from "../../errors";
import { native } from "../../native";
import { DaemonError } from "./errors";

// fcntl(2) allows either
const BUSY: ReadonlySet<number> = new Set([-os.errno.EAGAIN, -os.errno.EACCES]);

/** A pidfile of this process, with an exclusive lock of the whole file for as long as the process runs. */
export class Pidfile {
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** @throws DaemonError ERR_CLOGD_RUNNING when another process has it locked. */
  static take(path: string): Pidfile {
    for (;;) {
      // not truncated: until the lock is ours, the number in it is another's
      const fd = openSync(path, constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW, 0o644);
      try {
        const errno = native().lockFile(fd);
        if (BUSY.has(errno)) throw new DaemonError("ERR_CLOGD_RUNNING", `another daemon has ${path}${owner(fd)}`);
        if (errno !== 0) throw new ClogError({ errno, syscall: "fcntl", path });
        if (isFileAt(fd, path)) {
          // whatever the umask is: it is for others to look at
          fchmodSync(fd, 0o644);
          ftruncateSync(fd, 0);
          writeSync(fd, `${process.pid}\n`, 0);
          return new Pidfile(path, fd);
        }
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      // its owner has removed it between our open and our lock
      closeSync(fd);
    }
  }

  /** Removes it, unless another file has taken its place, and lets go of the lock. */
  remove(): void {
    if (isFileAt(this.#fd, this.path)) rmSync(this.path, { force: true });
    closeSync(this.#fd);
  }
}

function isFileAt(fd: number, path: string): boolean {
  const ours = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there?.ino === ours.ino && there.dev === ours.dev;
}

function owner(fd: number): string {
  const text = Buffer.alloc(16);
  const pid = /^\d+/.exec(text.toString("latin1", 0, readSync(fd, text, 0, text.length, 0)))?.[0];
  return pid === undefined ? "" : `: process ${pid}`;
}
