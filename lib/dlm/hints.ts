import { existsSync } from "node:fs";

import { DlmError } from "../errors";
import type { NativeFailure } from "../native";

// What each failure of opening, creating and removing means in practice, and what mends it.
function hint(failure: NativeFailure & { exclusive?: boolean }, code: string): string | undefined {
  const { syscall, path, version, holders } = failure;
  if (version !== undefined) return `the kernel's DLM interface is version ${version}, this library speaks 6.x`;
  if (holders.length > 0) return `open in process ${holders.join(", ")}; close it there first`;
  const isControl = path.endsWith("dlm-control");
  switch (code) {
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      if (!existsSync("/sys/module/dlm"))
        return "the kernel module dlm is not loaded: modprobe dlm (for development: clusterlock dev up)";
      if (isControl) return "the DLM is loaded, but its control device is missing from /dev";
      if (code === "ENODEV") return "the device node belongs to another lockspace, or to none any more";
      return "this node has not joined the lockspace: open it with { create: true }, or run dlm_tool join";
    case "EACCES":
      if (syscall === "readlink")
        return "cannot see which processes have the lockspace open: that needs CAP_SYS_PTRACE";
      return isControl
        ? "creating a lockspace needs access to the control device"
        : "the lockspace's device is not open to this user: ask for a group and mode in its udev rule";
    case "EPERM":
      return "creating and removing lockspaces needs CAP_SYS_ADMIN";
    case "ENOTCONN":
      return "this node has no cluster address yet: is dlm_controld running? (for development: clusterlock dev up)";
    case "EUNATCH":
      return "dlm_controld has gone away: this node cannot join anything until it is back";
    case "EEXIST":
      if (failure.exclusive) return "this node has joined the lockspace already, and exclusive asks for a new one";
      return "a file system of this node uses a lockspace of that name, which has no device to lock through";
    case "EBUSY":
      return syscall === "dlm_remove_lockspace"
        ? "orphaned locks of this node are left in it (purge() drops them, force leaves in spite of them), or others' " +
            "locks that cannot be told apart without debugfs"
        : undefined;
    default:
      return undefined;
  }
}

/** The error for a failed open, creation or removal. */
export function lockspaceError(lockspace: string, failure: NativeFailure, exclusive = false): DlmError {
  const { errno, syscall, path, holders } = failure;
  const details = { errno, syscall, path, lockspace, holders: holders.length > 0 ? holders : undefined };
  const { code } = new DlmError(details);
  return new DlmError({ ...details, hint: hint({ ...failure, exclusive }, code) });
}

/** The error for a failed purge. */
export function purgeError(lockspace: string, errno: number): DlmError {
  const details = { errno, syscall: "dlm_purge", lockspace };
  const { code } = new DlmError(details);
  const hints: Readonly<Record<string, string>> = {
    EBUSY: "that pid is a thread of this very handle, which the kernel would take for its own locks: purge by another",
    ENOTSUP: "inside a PID namespace nobody knows whether that is a thread of this very handle: purge from outside",
    ENOBUFS: "no member of the lockspace has that node id",
    EACCES: "the members of the lockspace cannot be read from configfs, and only a member can be asked",
  };
  return new DlmError({ ...details, hint: hints[code] });
}

/** The error for a handle that cannot be watched over: without that it would not know of its loss. */
export function watchError(lockspace: string, error: unknown): Error {
  const { errno } = error as { errno?: unknown };
  return typeof errno === "number" ? new DlmError({ errno, syscall: "socket", lockspace }) : (error as Error);
}
