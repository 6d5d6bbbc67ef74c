import { onAbort } from "../../aborts";

/** Tasks that run one after the other. */
export class Line {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the task when all before it have ended. An abort ends the wait at once; a task that runs sees to it itself. */
  join<T>(signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let waiting = true;
      const stop = onAbort(signal, () => {
        waiting = false;
        reject(signal?.reason as Error);
      });
      this.#last = this.#last.then(async () => {
        if (!waiting) return;
        waiting = false;
        stop();
        await task().then(resolve, reject);
      });
    });
  }
}
