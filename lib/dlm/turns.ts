import { onAbort } from "./aborts";

/** Lets one user in at a time, in the order they came. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /**
   * Resolves when it is the caller's turn, with the function that ends it. With a signal, an abort rejects at once and
   * the turn passes on when it comes.
   */
  async enter(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    let end: () => void = () => undefined;
    const before = this.#last;
    this.#last = new Promise((resolve) => {
      end = resolve;
    });
    if (!signal) {
      await before;
      return end;
    }
    await new Promise<void>((resolve, reject) => {
      const removeListener = onAbort(signal, () => {
        void before.then(end);
        reject(signal.reason as Error);
      });
      void before.then(() => {
        removeListener();
        resolve();
      });
    });
    return end;
  }
}
