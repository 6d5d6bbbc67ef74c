// Every wait of the lab has a limit and says what was waited for.

import { LabError } from "./errors";

/** The promise's result, or a LabError after so many seconds, or the signal's reason when it aborts. */
export async function within<T>(seconds: number, what: string, signal: AbortSignal, promise: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LabError(`waited ${seconds} s for ${what} in vain`));
    }, seconds * 1000);
    onAbort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}
