import { onAbort } from "../../../aborts";

/**
 * What `work` comes to, or undefined when that takes longer than `ms`: then its signal is aborted, and whatever it comes
 * to later is let go. A read that hangs in the kernel keeps one of libuv's threads all the same.
 *
 * @throws the signal's reason
 */
export async function bounded<T>(
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  signal?.throwIfAborted();
  const limit = new AbortController();
  let over: (how: "late" | "aborted") => void = () => undefined;
  const end = new Promise<"late" | "aborted">((resolve) => (over = resolve));
  const timer = setTimeout(() => {
    over("late");
  }, ms);
  const forget =
    signal &&
    onAbort(signal, () => {
      over("aborted");
    });
  const result = work(limit.signal).then((value) => ({ value }));
  // nobody asks any more when it fails for having been aborted
  result.catch(() => undefined);
  try {
    const first = await Promise.race([result, end]);
    if (typeof first === "object") return first.value;
    signal?.throwIfAborted();
    return undefined;
  } finally {
    clearTimeout(timer);
    forget?.();
    limit.abort();
  }
}
