import type { DomainLockMode } from "./lock-options";

/** A place in the queue of a name: waiting at first, then inside. */
export interface Place {
  readonly mode: DomainLockMode;
  readonly inside: boolean;
  /** Once, whether inside or still waiting. */
  leave(): void;
  /** From EX to PR, inside only: readers who wait come in. */
  share(): void;
}

interface Visitor {
  mode: DomainLockMode;
  inside: boolean;
  enter: () => void;
}

/**
 * Who of this handle may have a lock: one writer or any number of readers, in the order they came. A reader does not
 * overtake a writer who waits.
 */
export class LocalQueue {
  readonly #inside = new Set<Visitor>();
  #writer = false;
  readonly #line: Visitor[] = [];
  readonly #onEmpty: () => void;

  /** @param onEmpty called whenever the last one inside has left, before the next one comes in */
  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty;
  }

  get idle(): boolean {
    return this.#inside.size === 0 && this.#line.length === 0;
  }

  /** Calls `enter` when it is the caller's turn, at once if there is nobody in the way. */
  join(mode: DomainLockMode, enter: () => void): Place {
    const visitor: Visitor = { mode, inside: false, enter };
    this.#line.push(visitor);
    this.#admit();
    return this.#place(visitor);
  }

  /** A place inside, or nothing when that would mean to wait. */
  tryJoin(mode: DomainLockMode): Place | undefined {
    if (this.#line.length > 0 || !this.#admits(mode)) return undefined;
    return this.join(mode, () => undefined);
  }

  #place(visitor: Visitor): Place {
    return {
      get mode() {
        return visitor.mode;
      },
      get inside() {
        return visitor.inside;
      },
      leave: () => {
        this.#leave(visitor);
      },
      share: () => {
        visitor.mode = "PR";
        this.#writer = false;
        this.#admit();
      },
    };
  }

  #leave(visitor: Visitor): void {
    if (this.#inside.delete(visitor)) {
      this.#writer = false;
      if (this.#inside.size === 0) this.#onEmpty();
    } else {
      const at = this.#line.indexOf(visitor);
      if (at < 0) return;
      this.#line.splice(at, 1);
    }
    this.#admit();
  }

  #admits(mode: DomainLockMode): boolean {
    if (this.#inside.size === 0) return true;
    return mode === "PR" && !this.#writer;
  }

  #admit(): void {
    for (let next = this.#line[0]; next && this.#admits(next.mode); next = this.#line[0]) {
      this.#line.shift();
      next.inside = true;
      this.#writer = next.mode === "EX";
      this.#inside.add(next);
      next.enter();
    }
  }
}
