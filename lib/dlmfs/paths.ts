/** @internal Where the kernel's files are; tests put others in place. */
export const PATHS = {
  clusterStack: "/sys/fs/ocfs2/cluster_stack",
  clusterName: "/sys/kernel/config/dlm/cluster/cluster_name",
};

/** Where processes of a node meet, unless an option says otherwise. */
export const RUN_DIRECTORY = "/run/lock/clusterlock";

/** The file by which those take turns who blank the cluster's name, and in which the name is safe meanwhile. */
export function clusterNameLock(runDirectory: string): string {
  return `${runDirectory}/dlm-cluster-name`;
}

/** The file whose bytes stand for the locks of a domain; `device` is the mount's number. */
export function sidecarPath(runDirectory: string, device: number, domain: string): string {
  return `${runDirectory}/dlmfs-${device}-${domain}`;
}

/** In every domain: held in PR by each handle, so that nobody else's rmdir can take the domain away. */
export const KEEP_NAME = ".clusterlock-keep";
