import { LockStateError } from "../../../lib/errors";
import type { ValueDomain, ValueLock } from "../../../lib/dlmfs/value";

type Mode = "NL" | "PR" | "EX";
const RANK = { NL: 0, PR: 3, EX: 5 };

interface Copy {
  bytes: Uint8Array;
  invalid: boolean;
  /** How many writes it has behind it, as the DLM counts them. */
  writes: number;
}

/** A node's kernel: what level it has cached, whether or not anybody holds it, and the copy that went with it. */
interface Cache extends Copy {
  level: Mode;
}

const nothing = (): Copy => ({ bytes: new Uint8Array(64), invalid: false, writes: 0 });

/**
 * One lock with its value block, on the nodes of a cluster, as ocfs2_dlmfs has it: levels stay cached after a release;
 * a value travels when a cached level is taken away; what a death costs depends on the stack. Sources: userdlm.c,
 * fs/dlm/lock.c (`set_lvb_lock`), fs/dlm/recover.c (`recover_lvb`), fs/ocfs2/dlm/dlmrecovery.c (`dlm_revalidate_lvb`).
 */
export class FakeCluster {
  readonly stack: "o2cb" | "fsdlm";
  readonly #caches = new Map<number, Cache>();
  readonly #holders = new Set<FakeLock>();
  readonly #wake: (() => void)[] = [];
  #master: Copy = nothing();
  /** Of each node: asked for, and not granted. */
  readonly waiting: Map<number, number> = new Map<number, number>();
  /** Whether other processes keep their node from dropping the lock. */
  droppable = true;

  constructor(stack: "o2cb" | "fsdlm") {
    this.stack = stack;
  }

  node(n: number): ValueDomain & { lock(name: string, options?: { mode?: "PR" | "EX" }): Promise<FakeLock> } {
    return { lock: (name, options = {}) => this.#lock(n, name, options) };
  }

  /** Takes the lock for a moment and looks at nothing, as the kernel itself does when a grant is stolen. */
  async blindly(n: number): Promise<void> {
    await (await this.#lock(n, "blind", {})).release();
  }

  /** What the next one to be granted the lock will find. */
  plant(bytes: Uint8Array): void {
    this.#caches.clear();
    this.#master = { ...nothing(), bytes: Uint8Array.from(bytes) };
  }

  /** A node that is not the master dies; nobody there holds the lock. */
  die(n: number): void {
    const { level } = this.#cacheOf(n);
    this.#caches.delete(n);
    if (level === "EX") this.#lose();
  }

  /** The master of the lock, a node that has no interest in it, dies; nobody holds the lock. */
  loseMaster(): void {
    const caches = [...this.#caches.values()];
    const holding = caches.find(({ level }) => level !== "NL");
    if (holding) this.#master = copyOf(holding);
    else {
      const newest = caches.reduce<Copy>((best, one) => (one.writes > best.writes ? one : best), nothing());
      this.#master = copyOf(newest);
      this.#lose();
    }
  }

  #lose(): void {
    if (this.stack === "o2cb") this.#master = nothing();
    else this.#master.invalid = true;
  }

  async #lock(
    n: number,
    name: string,
    { mode = "EX", signal }: { mode?: "PR" | "EX"; signal?: AbortSignal },
  ): Promise<FakeLock> {
    while ([...this.#holders].some((other) => other.mode === "EX" || mode === "EX")) {
      signal?.throwIfAborted();
      this.waiting.set(n, (this.waiting.get(n) ?? 0) + 1);
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        signal?.addEventListener("abort", () => {
          resolve();
        });
      });
      this.waiting.set(n, (this.waiting.get(n) ?? 0) - 1);
    }
    signal?.throwIfAborted();
    for (const [other, cache] of this.#caches) {
      if (other !== n) this.#convert(cache, mode === "EX" ? "NL" : cache.level === "NL" ? "NL" : "PR");
    }
    const cache = this.#cacheOf(n);
    if (RANK[cache.level] < RANK[mode]) this.#convert(cache, mode);
    const lock = new FakeLock(name, mode, cache, (drop) => {
      // nobody drops what others of the node stand in line for
      if (drop && this.droppable && !this.waiting.get(n)) this.#drop(n);
      this.#holders.delete(lock);
      for (const wake of this.#wake.splice(0)) wake();
    });
    this.#holders.add(lock);
    return lock;
  }

  // what an AST brings: up, the master's copy with its flag; down from EX, the master gets the copy, and no flag stays
  #convert(cache: Cache, level: Mode): void {
    if (cache.level === level) return;
    if (RANK[level] > RANK[cache.level]) Object.assign(cache, copyOf(this.#master));
    else if (cache.level === "EX") this.#push(cache);
    cache.level = level;
  }

  #push(cache: Cache): void {
    this.#master = { ...copyOf(cache), invalid: false, writes: this.#master.writes + 1 };
    cache.writes = this.#master.writes;
    cache.invalid = false;
  }

  #drop(n: number): void {
    const cache = this.#cacheOf(n);
    if (cache.level === "EX") this.#push(cache);
    this.#caches.delete(n);
    if (this.stack === "fsdlm" && this.#caches.size === 0) this.#master = nothing();
  }

  #cacheOf(n: number): Cache {
    const known = this.#caches.get(n);
    if (known) return known;
    const fresh: Cache = { ...nothing(), level: "NL" };
    this.#caches.set(n, fresh);
    return fresh;
  }
}

function copyOf({ bytes, invalid, writes }: Copy): Copy {
  return { bytes: Uint8Array.from(bytes), invalid, writes };
}

export class FakeLock implements ValueLock {
  readonly name: string;
  mode: "PR" | "EX";
  /** Set to have the next write fail. */
  failure: Error | undefined;
  readonly #cache: Cache;
  readonly #released: (drop: boolean) => void;
  #drop = false;
  #held = true;

  constructor(name: string, mode: "PR" | "EX", cache: Cache, released: (drop: boolean) => void) {
    this.name = name;
    this.mode = mode;
    this.#cache = cache;
    this.#released = released;
  }

  async readLvb(): Promise<Uint8Array> {
    await this.#use();
    if (this.#cache.invalid) throw new LockStateError("ERR_LVB_INVALID", "the kernel says so");
    return Uint8Array.from(this.#cache.bytes);
  }

  async writeLvb(bytes: Uint8Array): Promise<void> {
    await this.#use();
    if (this.mode !== "EX") throw new Error("a PR lock was written");
    if (this.failure) throw this.failure;
    this.#cache.bytes = Uint8Array.from({ length: 64 }, (_, at) => bytes[at] ?? 0);
  }

  dropOnRelease(): void {
    this.#drop = true;
  }

  async release(): Promise<void> {
    await Promise.resolve();
    if (!this.#held) return;
    this.#held = false;
    this.#released(this.#drop);
  }

  async #use(): Promise<void> {
    await Promise.resolve();
    if (!this.#held) throw new LockStateError("ERR_LOCK_RELEASED", `lock '${this.name}' was released`);
  }
}
