// What the kernel asks of a process whose answers it takes. It drops the answers of others without a word, so they must
// not begin to serve.

import { readFile, readlink, stat } from "node:fs/promises";
import { constants } from "node:os";
import path from "node:path";

import { ClogError } from "../../errors";

import { ROOTS } from "./roots";

const { EACCES, ECONNREFUSED, EPERM } = constants.errno;

// include/uapi/linux/capability.h
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

// include/linux/proc_ns.h: PROC_USER_INIT_INO
const INITIAL_USER_NAMESPACE = "user:[4026531837]";

/**
 * Rights: joining the multicast group needs CAP_NET_ADMIN, answering CAP_SYS_ADMIN, both of the initial user namespace
 * (drivers/md/dm-log-userspace-transfer.c: cn_ulog_callback).
 * @throws ClogError
 */
export async function checkRights(): Promise<void> {
  const status = await readFile(path.join(ROOTS.proc, "self/status"), "utf8").catch(() => "");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) {
    throw new ClogError({
      errno: -EACCES,
      syscall: "read",
      path: path.join(ROOTS.proc, "self/status"),
      hint: "it does not tell which capabilities this process has; mount procfs",
    });
  }
  const missing = (
    [
      ["CAP_SYS_ADMIN", CAP_SYS_ADMIN],
      ["CAP_NET_ADMIN", CAP_NET_ADMIN],
    ] as const
  )
    .filter(([, bit]) => ((BigInt(`0x${effective}`) >> bit) & 1n) === 0n)
    .map(([name]) => name);
  if (missing.length > 0) {
    throw new ClogError({
      errno: -EPERM,
      syscall: "capget",
      hint: `the kernel ignores what a process without ${missing.join(" and ")} answers; run it as root`,
    });
  }
  const namespace = await readlink(path.join(ROOTS.proc, "self/ns/user")).catch(() => undefined);
  // undefined: the kernel has no user namespaces
  if (namespace !== undefined && namespace !== INITIAL_USER_NAMESPACE) {
    throw new ClogError({
      errno: -EPERM,
      syscall: "capget",
      hint:
        "the kernel ignores what a process in a user namespace answers, even as its root; run it outside of the " +
        "container, or in one without a user namespace",
    });
  }
}

/**
 * The connector is in the initial network namespace only: a socket of another can be had, and hears nothing. To be called
 * when there is a socket, for opening it loads the connector where that is a module.
 * @throws ClogError
 */
export async function checkNetworkNamespace(): Promise<void> {
  const connector = path.join(ROOTS.proc, "self/net/connector");
  try {
    await stat(connector);
  } catch (error) {
    throw new ClogError({
      errno: -ECONNREFUSED,
      syscall: "bind",
      path: connector,
      hint:
        "this network namespace has no connector, for only the initial one has; run the server there (in a container: " +
        "with the host's network)",
      cause: error,
    });
  }
}
