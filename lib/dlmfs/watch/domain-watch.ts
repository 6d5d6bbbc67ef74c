import { tell } from "../../tell";

/** How often is looked, in milliseconds. Other nodes notice a heartbeat's end within two seconds. */
const PERIOD_MS = 250;

/** Somebody who wants to know. What these throw becomes an uncaught exception. */
export interface Listener {
  lost(why: string): void;
  stall?: ((stalled: boolean) => void) | undefined;
}

/** Looks again and again, until it has ended or something is lost. */
export abstract class DomainWatch {
  readonly listeners: Set<Listener> = new Set();
  readonly #timer: NodeJS.Timeout;
  #over = false;

  constructor() {
    this.#timer = setInterval(() => {
      this.look();
    }, PERIOD_MS).unref();
  }

  get over(): boolean {
    return this.#over;
  }

  /** No event comes after it, and nothing stays open. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#timer);
    this.release();
  }

  protected abstract look(): void;
  protected abstract release(): void;

  protected say(what: (listener: Listener) => void): void {
    for (const listener of [...this.listeners]) {
      if (this.listeners.has(listener)) tell(what.bind(undefined, listener));
    }
  }

  protected lose(why: string): void {
    if (this.#over) return;
    this.end();
    this.say((listener) => {
      listener.lost(why);
    });
  }
}
