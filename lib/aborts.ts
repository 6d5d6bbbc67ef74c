interface Waiting {
  listeners: Set<() => void>;
  handler: () => void;
}

// One listener for each signal, however many requests share it: Node warns of a leak from the eleventh on.
const waiting = new WeakMap<AbortSignal, Waiting>();

/** Calls `listener` when the signal, which has not fired yet, does. Returns the function that takes it back. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (!signal) return () => undefined;
  const { listeners, handler } = waiting.get(signal) ?? listen(signal);
  listeners.add(listener);
  return () => {
    if (!listeners.delete(listener) || listeners.size > 0) return;
    signal.removeEventListener("abort", handler);
    waiting.delete(signal);
  };
}

function listen(signal: AbortSignal): Waiting {
  const listeners = new Set<() => void>();
  const handler = (): void => {
    for (const listener of [...listeners]) listener();
  };
  signal.addEventListener("abort", handler, { once: true });
  const entry = { listeners, handler };
  waiting.set(signal, entry);
  return entry;
}
