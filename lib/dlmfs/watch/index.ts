// What takes a domain away from under an open file, and how that is seen. Each case was tried, docs/dlmfs-inspect.md has
// what came of it.
//
// On o2cb:
// - The node loses its disk, its network or the others: the kernel resets the machine (o2quo_fence_self()). Nothing is
//   left to be told.
// - The node leaves the cluster on purpose while the domain is joined. The kernel pins the heartbeat region only of a
//   domain that bears its name, an ocfs2 volume's (o2hb_region_pin()); dlmfs domains bear others. So removing the region
//   (rmdir in configfs, which is what `ocfs2_hb_ctl -K` and `o2cb stop` do), and taking "local" off this node, end the
//   heartbeat without a word. The other nodes are told at once, take the locks over and grant them again, while here the
//   files stay open and every request is granted. That is watched: the heartbeat's thread has ended.
// - Removing this node or another from configfs, the cluster, or the region's device: refused with EBUSY while the
//   heartbeat runs. Another stack: refused while a domain is joined. The modules: in use. rmdir of the domain:
//   ENOTEMPTY; umount: EBUSY, and a lazy one leaves the domain joined until the last file is closed.
//
// On fs/dlm:
// - dlm_controld ends, be it for the end of corosync: the kernel stops all lockspaces, and the others fence this node.
//   That is watched, together with the recovery's state.
// - The lockspace is removed: only by the mount that made it, which an open file keeps. That is watched all the same: it
//   is announced.
// - Quorum is lost, or somebody is being fenced: the lockspace stands still and goes on later. No loss, told as a stall.

import type { DomainStack } from "../inspect/dump";

import type { DomainWatch, Listener } from "./domain-watch";
import { HeartbeatWatch } from "./heartbeat-watch";
import { LockspaceWatch } from "./lockspace-watch";

/**
 * Tells when this node loses a domain that it has joined, with all locks in it: at most once, and never before this has
 * returned. One watch serves all who ask for the same domain. It does not keep the process alive. Where nothing can be
 * told, in a container without configfs for one, nothing is.
 *
 * @param onLost why it is lost, for people
 * @param onStall the domain stands still, or goes on again; on fs/dlm only
 * @returns the function that ends it
 * @throws {Error} fs/dlm: no socket for the kernel's announcements can be had
 */
export function watchDomain(
  stack: DomainStack,
  name: string,
  onLost: (why: string) => void,
  onStall?: (stalled: boolean) => void,
): () => void {
  // the heartbeat is the node's, whatever the domain
  const key = stack === "o2cb" ? stack : `${stack} ${name}`;
  const watch = running(key) ?? (stack === "o2cb" ? new HeartbeatWatch() : new LockspaceWatch(name));
  watches.set(key, watch);
  const listener: Listener = { lost: onLost, stall: onStall };
  watch.listeners.add(listener);
  return () => {
    watch.listeners.delete(listener);
    if (watch.listeners.size > 0) return;
    watch.end();
    if (watches.get(key) === watch) watches.delete(key);
  };
}

const watches = new Map<string, DomainWatch>();

// Whoever asks for a domain after it was lost has it looked for anew.
function running(key: string): DomainWatch | undefined {
  const watch = watches.get(key);
  return watch?.over ? undefined : watch;
}
