// Keeps one kind of message from burying all others: so many in a while, then one that says how many more there were.

const PER_WINDOW = 10;
const WINDOW_MS = 60_000;

interface Window {
  readonly ends: number;
  said: number;
  more: number;
}

export class Limiter {
  readonly #windows = new Map<string, Window>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether to say something of this kind now; and what was left unsaid before. */
  admit(kind: string): { say: boolean; unsaid: number } {
    const now = this.#now();
    let window = this.#windows.get(kind);
    let unsaid = 0;
    if (window === undefined || now >= window.ends) {
      unsaid = window?.more ?? 0;
      window = { ends: now + WINDOW_MS, said: 0, more: 0 };
      this.#windows.set(kind, window);
    }
    if (window.said < PER_WINDOW) {
      window.said++;
      return { say: true, unsaid };
    }
    window.more++;
    return { say: false, unsaid };
  }
}
