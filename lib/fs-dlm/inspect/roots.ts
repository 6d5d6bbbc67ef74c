interface Roots {
  proc: string;
  sysfs: string;
  configfs: string;
  debugfs: string;
  /** The abstract name of dlm_controld's query socket. */
  querySocket: string;
  /** Set by tests: these are plain directories. */
  faked: boolean;
}

/** @internal Where the kernel's file systems are; tests put others in place. */
export const ROOTS: Roots = {
  proc: "/proc",
  sysfs: "/sys",
  configfs: "/sys/kernel/config",
  debugfs: "/sys/kernel/debug",
  querySocket: "dlmc_query_sock",
  faked: false,
};
