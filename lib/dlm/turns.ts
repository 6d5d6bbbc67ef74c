import { onAbort } from "../aborts";

/** Lets one user in at a time, in the order they came. */
export class Turns {
  #busy = false;
  #queue: (() => void)[] | undefined;

  /**
   * Calls `start` when it is the caller's turn: at once if nobody else is in. Who was let in says so by `leave()`. With
   * a signal, an abort before that calls `giveUp` instead, at once.
   */
  enter(start: () => void, signal?: AbortSignal, giveUp?: (reason: unknown) => void): void {
    if (!this.#busy) {
      this.#busy = true;
      start();
      return;
    }
    const queue = (this.#queue ??= []);
    if (!signal) {
      queue.push(start);
      return;
    }
    const entry = (): void => {
      removeListener();
      start();
    };
    const removeListener = onAbort(signal, () => {
      queue.splice(queue.indexOf(entry), 1);
      giveUp?.(signal.reason);
    });
    queue.push(entry);
  }

  leave(): void {
    const next = this.#queue?.shift();
    if (next) next();
    else this.#busy = false;
  }
}
