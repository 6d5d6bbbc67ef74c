import { DlmfsError, errnoName } from "../errors";

export interface Subject {
  path?: string;
  domain?: string;
  lock?: string;
  /** What the locks come from: "o2cb", or any other name for fs/dlm. */
  stack?: string | undefined;
}

const ERESTARTSYS = -512;

// What each failure of joining means in practice, and what mends it. Sources: fs/ocfs2/stack_o2cb.c,
// fs/ocfs2/stack_user.c, fs/ocfs2/stackglue.c, fs/ocfs2/dlm/dlmdomain.c.
function joinHint(code: string, stack: string | undefined): string | undefined {
  const o2cb = stack === undefined || stack === "o2cb";
  switch (code) {
    case "EINVAL":
      return o2cb
        ? "this node is not configured in the o2cb cluster, or its heartbeat has not been started; see the kernel's log"
        : "the other nodes speak another version of the locking protocol";
    case "ENOTCONN":
      return o2cb
        ? "for a minute o2net had no connection to every node that has a heartbeat: addresses, TCP port 7777?"
        : "this node has no cluster address yet: is dlm_controld running?";
    case "EBUSY":
      return "another cluster stack is in use on this node than /sys/fs/ocfs2/cluster_stack says";
    case "ENOENT":
      return "no such directory, or the module of the cluster stack is missing: modprobe ocfs2_stack_o2cb or ocfs2_stack_user";
    case "EPROTO":
      return "the domain is in use with another locking protocol or another size of value blocks";
    case "ETIMEDOUT":
      return "the other nodes did not let this one in for 90 s: is one of them joining, leaving or dying? Try again";
    case "EUNATCH":
      return "dlm_controld is not running";
    case "EBADR":
      return (
        "ocfs2_dlmfs gives fs/dlm an empty cluster name, and dlm_controld has set another: " +
        "{ allowClusterNameWorkaround: true } blanks that for the moment of the join"
      );
    case "ESRCH":
      return "no controller holds /dev/ocfs2_control; run dlm_controld 4 or later, which needs none";
    case "EEXIST":
      return "the lockspace is in use on this node by another mount, or by another program";
    case "EACCES":
    case "EPERM":
      return "joining a domain needs write permission on the mount's root: root creates it, or chmods the mount";
    default:
      return undefined;
  }
}

function openHint(code: string): string | undefined {
  switch (code) {
    case "ENOENT":
      return "the domain has gone from this node: somebody else has removed it";
    case "EACCES":
      return "the lock's file is not open to this user in that mode: EX needs read and write, PR needs read";
    case "ENOTCONN":
      return "the node that has the lock in its care is being recovered: try again";
    case "EMFILE":
    case "ENFILE":
      return "each held lock is an open file: raise the limit (ulimit -n)";
    default:
      return undefined;
  }
}

function fileHint(syscall: string, code: string): string | undefined {
  if (syscall === "fcntl" && code === "EBUSY") return "others of this node hold it, wait for it or keep it cached";
  if (syscall === "fcntl" && code === "EBADF")
    return (
      "the file by which processes of this node exclude each other is open to this user for reading only: it has the " +
      "rights that the domain's directory had when it was first opened on this node"
    );
  if (syscall === "fstat" && code === "ESTALE") {
    return (
      "the file by which processes of this node exclude each other was removed or replaced: who comes now would not be " +
      "kept out; close the domain in all processes of this node, and open it anew"
    );
  }
  if (syscall === "mknod" && code === "EACCES") {
    return "making a lock's file needs write permission on the domain's directory; one that is there needs its own";
  }
  if (syscall === "unlink" && code === "EBUSY") return "it is held on this node";
  if (syscall === "pthread_create") return "each waiting request is a thread: raise the limit (ulimit -u)";
  return undefined;
}

/** The error for a system call that failed. */
export function dlmfsError(errno: number, syscall: string, subject: Subject, hint?: string): DlmfsError {
  const { stack, ...details } = subject;
  // o2dlm gives up joining after 90 s with a number that is no errno (fs/ocfs2/dlm/dlmdomain.c, dlm_join_domain())
  const known = errno === ERESTARTSYS ? -110 : errno;
  const code = errnoName(known);
  const told =
    hint ??
    fileHint(syscall, code) ??
    (syscall === "mkdir" ? joinHint(code, stack) : syscall === "open" ? openHint(code) : undefined);
  return new DlmfsError({ errno: known, syscall, hint: told, ...details });
}
