// Keeps reads and changes of the same bytes of a file apart, for the kernel promises neither of them to be whole where
// they overlap. Changes come one at a time: that is for the caller to see to.

interface Range {
  readonly start: number;
  readonly end: number;
  readonly done: Promise<void>;
}

export class Gate {
  readonly #reads = new Set<Range>();
  #change: Range | undefined;

  async read<T>(start: number, length: number, action: () => Promise<T>): Promise<T> {
    const end = start + length;
    while (this.#change !== undefined && overlap(this.#change, start, end)) await this.#change.done;
    const { range, finish } = open(start, end);
    this.#reads.add(range);
    try {
      return await action();
    } finally {
      this.#reads.delete(range);
      finish();
    }
  }

  /** Waits for reads that have begun; those that begin later wait for it. */
  async change(start: number, length: number, action: () => Promise<void>): Promise<void> {
    const end = start + length;
    const { range, finish } = open(start, end);
    this.#change = range;
    try {
      for (const read of this.#reads) if (overlap(read, start, end)) await read.done;
      await action();
    } finally {
      this.#change = undefined;
      finish();
    }
  }
}

function open(start: number, end: number): { range: Range; finish: () => void } {
  let finish = (): void => undefined;
  const done = new Promise<void>((resolve) => (finish = resolve));
  return { range: { start, end, done }, finish };
}

function overlap(range: Range, start: number, end: number): boolean {
  return range.start < end && start < range.end;
}
