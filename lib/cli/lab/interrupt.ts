// Signals to this command, and the loss of its reader, end what it waits for in good order.

import { EXIT_BROKEN_PIPE, EXIT_BY_SIGNAL, IO_ERROR } from "../exit-codes";
import { say } from "./say";

/** The status that the work returns; or, when a signal ended it, what a shell expects then. */
export async function interruptible(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  let stopped: number | undefined;
  const stopWith = (status: number) => (): void => {
    stopped ??= status;
    stop.abort();
  };
  const handlers = Object.entries(EXIT_BY_SIGNAL).map(([signal, status]) => ({ signal, handler: stopWith(status) }));
  for (const { signal, handler } of handlers) process.on(signal, handler);
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") say(`cannot write the output: ${error.message}`);
    stopWith(error.code === "EPIPE" ? EXIT_BROKEN_PIPE : IO_ERROR)();
  };
  const streams = [process.stdout, process.stderr];
  for (const stream of streams) stream.on("error", onError);
  try {
    const status = await work(stop.signal);
    return stopped ?? status;
  } catch (error) {
    if (stopped === undefined) throw error;
    return stopped;
  } finally {
    for (const { signal, handler } of handlers) process.off(signal, handler);
    // the streams keep theirs: a late error must not end us another way
  }
}
