import { type NativeUevents, native } from "../../native";

/** Hears what the kernel announces of one lockspace: "online", "offline", … or that announcements were lost. */
type Listener = (action: string | undefined) => void;

const listeners = new Map<string, Set<Listener>>();
let source: NativeUevents | undefined;

/**
 * Calls `listener` with each announcement about a lockspace of this node; `undefined` when some were lost. One socket
 * serves all who listen. Returns the function that ends it.
 */
export function onAnnouncement(lockspace: string, listener: Listener): () => void {
  const set = listeners.get(lockspace) ?? new Set();
  listeners.set(lockspace, set.add(listener));
  source ??= native().watchUevents((events, overflowed) => {
    for (const event of events) for (const tell of listeners.get(event.lockspace) ?? []) tell(event.action);
    if (overflowed) for (const all of listeners.values()) for (const tell of all) tell(undefined);
  });
  return () => {
    set.delete(listener);
    if (set.size === 0 && listeners.get(lockspace) === set) listeners.delete(lockspace);
    if (listeners.size > 0) return;
    source?.close();
    source = undefined;
  };
}
