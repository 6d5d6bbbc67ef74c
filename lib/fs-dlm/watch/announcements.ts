import { type NativeUevents, native } from "../../native";

import { tell } from "../../tell";

/** Hears what the kernel announces of one lockspace: "online", "offline", … or that announcements were lost. */
type Listener = (action: string | undefined) => void;

const listeners = new Map<string, Set<Listener>>();
let source: NativeUevents | undefined;

// Who listens at the beginning hears it, unless another's listener has made them leave.
function announce(set: ReadonlySet<Listener> | undefined, action: string | undefined): void {
  for (const listener of [...(set ?? [])]) {
    if (set?.has(listener)) tell(listener.bind(undefined, action));
  }
}

/**
 * Calls `listener` with each announcement about a lockspace of this node; `undefined` when some were lost. One socket
 * serves all who listen. Returns the function that ends it.
 *
 * @throws {Error} no socket can be had; then nobody listens
 */
export function onAnnouncement(lockspace: string, listener: Listener): () => void {
  source ??= native().watchUevents((events, overflowed) => {
    for (const event of events) announce(listeners.get(event.lockspace), event.action);
    if (overflowed) for (const set of [...listeners.values()]) announce(set, undefined);
  });
  const set = listeners.get(lockspace) ?? new Set();
  listeners.set(lockspace, set.add(listener));
  return () => {
    set.delete(listener);
    if (set.size === 0 && listeners.get(lockspace) === set) listeners.delete(lockspace);
    if (listeners.size > 0) return;
    source?.close();
    source = undefined;
  };
}
