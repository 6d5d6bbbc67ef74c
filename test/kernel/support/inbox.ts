/** What comes one at a time, to be waited for one at a time. Who waits is told when there is an end to it. */
export class Inbox<T> {
  readonly #waiting: ((item: T) => void)[] = [];
  readonly #end: Promise<never>;
  #items: T[] = [];

  constructor(end: Promise<never>) {
    this.#end = end;
  }

  put(item: T): void {
    const taker = this.#waiting.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  }

  take(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return Promise.race([new Promise<T>((resolve) => this.#waiting.push(resolve)), this.#end]);
  }

  clear(): void {
    this.#items = [];
  }
}
