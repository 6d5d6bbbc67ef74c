import { checkWellFormed } from "../checks";
import { invalidType, invalidValue } from "../errors";

/** Longest name of a domain in bytes. Source: fs/ocfs2/dlmfs/dlmfs.c, `dlmfs_mkdir()` (GROUP_NAME_MAX). */
export const DOMAIN_NAME_MAX = 63;
/** Longest name of a lock in bytes. Source: fs/ocfs2/dlmfs/dlmfs.c, `dlmfs_create()` (USER_DLM_LOCK_ID_MAX_LEN). */
export const DOMAIN_LOCK_NAME_MAX = 31;

/**
 * A domain's name becomes a directory of the mount, one of debugfs, a kernel thread and, on fs/dlm, an object of sysfs:
 * what all of them can carry is taken.
 *
 * @param volume whether the name may be the UUID of an OCFS2 volume
 * @throws TypeError, RangeError
 */
export function checkDomainName(name: unknown, volume = false): string {
  if (typeof name !== "string") throw invalidType("name", "a string", name);
  if (name === "") throw invalidValue("name", "must not be empty: a domain needs a name");
  if (name.length > DOMAIN_NAME_MAX) {
    throw invalidValue("name", `is ${name.length} bytes long; a domain's name has at most ${DOMAIN_NAME_MAX}`);
  }
  if (!/^[\w.-]+$/.test(name) || name.startsWith(".")) {
    throw invalidValue(
      "name",
      "must consist of letters, digits, '_', '-' and '.', and not begin with '.': it becomes a directory, a kernel " +
        "thread's name and an object in debugfs",
    );
  }
  if (!volume && /^[0-9A-F]{32}$/.test(name)) {
    throw invalidValue(
      "name",
      "looks like the UUID of an OCFS2 volume, whose file system locks live in the domain of that name; " +
        "{ volume: true } says that this is meant",
    );
  }
  return name;
}

// fs/ocfs2/stack_user.c, VERSION_LOCK: every node holds it in PR for as long as it is in the domain.
const TAKEN_ON_FS_DLM = "version_lock";

/**
 * @param stack "o2cb", or the name of another one, whose locks are fs/dlm's
 * @throws TypeError, RangeError
 */
export function checkDomainLockName(name: unknown, stack = "o2cb"): string {
  if (typeof name !== "string") throw invalidType("name", "a string", name);
  checkWellFormed(name, "name");
  const size = Buffer.byteLength(name);
  if (size === 0) throw invalidValue("name", "must not be empty: a lock needs a name");
  if (size > DOMAIN_LOCK_NAME_MAX) {
    throw invalidValue(
      "name",
      `is ${size} bytes long; a lock's name on ocfs2_dlmfs has at most ${DOMAIN_LOCK_NAME_MAX}`,
    );
  }
  if (name.includes("/") || name.includes("\0")) {
    throw invalidValue("name", "must not hold '/' or NUL: it becomes a file's name");
  }
  if (name === TAKEN_ON_FS_DLM && stack !== "o2cb") {
    throw invalidValue(
      "name",
      `must not be '${TAKEN_ON_FS_DLM}' on fs/dlm: the cluster stack holds that lock for good`,
    );
  }
  if (name.startsWith("$")) throw invalidValue("name", "must not begin with '$': o2dlm keeps such names to itself");
  if (name.startsWith(".")) {
    throw invalidValue("name", "must not begin with '.': libo2dlm and this library keep such names to themselves");
  }
  return name;
}
