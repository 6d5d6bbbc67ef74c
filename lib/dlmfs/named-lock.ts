import type { NativeFile, NativeOpenerEvent } from "../native";

import { LocalQueue } from "./local-queue";
import type { DomainLockMode } from "./lock-options";
import type { Opening } from "./opening";

const EXCLUSION = 0;
const USERS = 2;
const UNLOCK = 0;
const SHARED = 1;
const EXCLUSIVE = 2;

/** What a handle knows of one name of its domain. */
export class NamedLock {
  readonly name: string;
  readonly queue: LocalQueue;
  readonly #sidecar: NativeFile | undefined;
  readonly #deserted = new Set<Opening>();
  #marked = false;
  /** How many requests and locks of this handle there are of it. */
  users = 0;
  /** Whether the lock's file was seen to, so that opening it is all there is to do. */
  introduced = false;
  /** The same of its gate's file. */
  gated = false;
  /** Whether that made the file. */
  created = false;
  /** The next one who leaves it idle drops it from the kernel. */
  dropWhenIdle = false;
  /** While it is being dropped: how that ends. */
  dropping: Promise<NativeOpenerEvent> | undefined;

  constructor(name: string, sidecar: NativeFile | undefined) {
    this.name = name;
    this.#sidecar = sidecar;
    this.queue = new LocalQueue(() => {
      // Given back before the next one of this handle comes in: others of the node get their chance between any two.
      sidecar?.range(name, EXCLUSION, UNLOCK);
    });
  }

  /** Nobody of this handle holds it or waits for it, and nothing of it is in the kernel. */
  isIdle(): boolean {
    return this.users === 0 && this.queue.idle && this.#deserted.size === 0;
  }

  /** Keeps others of this node out, if that does not mean to wait: 0, or a negative errno. */
  exclude(mode: DomainLockMode): number {
    return this.#sidecar?.range(this.name, EXCLUSION, mode === "EX" ? EXCLUSIVE : SHARED) ?? 0;
  }

  /** Openings that nobody waits for any more. */
  get deserted(): ReadonlySet<Opening> {
    return this.#deserted;
  }

  /** One that is still in the kernel and asks for just that; the kernel's trylock asks for less. */
  findDeserted(mode: DomainLockMode): Opening | undefined {
    for (const opening of this.#deserted) if (opening.mode === mode && !opening.raw) return opening;
    return undefined;
  }

  desert(opening: Opening): void {
    this.#deserted.add(opening);
  }

  /** Somebody waits for it again, or it has ended. */
  reclaim(opening: Opening): void {
    this.#deserted.delete(opening);
  }

  /** Tells the node that the name is in use: others do not drop it, though it may be idle. */
  mark(): void {
    if (this.#marked || !this.#sidecar) return;
    this.#marked = this.#sidecar.range(this.name, USERS, SHARED) === 0;
  }

  unmark(): void {
    if (this.#marked) this.#sidecar?.range(this.name, USERS, UNLOCK);
    this.#marked = false;
  }
}
