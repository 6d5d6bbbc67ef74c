import type { NativeFile, NativeOpenerEvent, NativeOpenerRequest } from "../native";

import type { PendingRequest } from "./domain-options";
import type { Handle } from "./handle";
import type { Place } from "./local-queue";
import type { DomainLockMode } from "./lock-options";
import type { NamedLock } from "./named-lock";
import type { Task } from "./opener";
import { Opening } from "./opening";

export interface FileOptions {
  fileMode?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
}

export interface RequestOptions extends FileOptions {
  mode: DomainLockMode;
  raw?: boolean;
  /** Others of this node are kept out already. */
  excluded?: boolean;
}

/**
 * What a request that succeeded has: the open file, and the place in front of the others of this handle. It still counts
 * among the name's users.
 */
export interface Grant {
  file: NativeFile;
  place: Place | undefined;
}

interface Settle {
  resolve: (grant: Grant) => void;
  reject: (error: unknown) => void;
}

const ENOENT = -2;
const EXCLUSIVE = 2;
const SHARED = 1;

/**
 * One request for a lock, from its place in the queue of this handle, by the file that excludes others of this node, to
 * the kernel. Others of the node come first: so at most one of them sleeps in the kernel for the same lock, and the rest
 * can be called off.
 */
export class LockRequest {
  readonly #handle: Handle;
  readonly #named: NamedLock;
  readonly #options: RequestOptions;
  readonly #since = performance.now();
  #place: Place | undefined;
  #task: Task | undefined;
  #ranging = false;
  #opening: Opening | undefined;
  #end: Settle | undefined;
  readonly granted: Promise<Grant>;

  /** @param place one that is inside already; without it the request queues for one */
  constructor(handle: Handle, named: NamedLock, options: RequestOptions, place?: Place) {
    this.#handle = handle;
    this.#named = named;
    this.#options = options;
    this.granted = new Promise((resolve, reject) => {
      this.#end = { resolve, reject };
    });
    handle.requests.add(this);
    named.users++;
    if (place) {
      this.#place = place;
      this.#introduce();
    } else if (handle.exclusion === "none") {
      this.#introduce();
    } else {
      this.#place = named.queue.join(options.mode, () => {
        // inside at once, before join() has returned the place
        queueMicrotask(() => {
          if (this.#end) this.#introduce();
        });
      });
    }
  }

  /** As it stands; undefined when it is over. */
  get pending(): PendingRequest | undefined {
    if (!this.#end) return undefined;
    const { name } = this.#named;
    const sinceMs = performance.now() - this.#since;
    const phase = this.#opening?.phase ?? (this.#ranging ? "local" : this.#task ? "kernel" : "queued");
    return { name, mode: this.#options.mode, sinceMs, phase, abandoned: false };
  }

  /** What the opener calls it, while it is there. */
  get taskId(): number | undefined {
    return this.#opening?.id ?? this.#task?.id;
  }

  /** Nobody waits for it any more; the promise rejects at once with the reason. */
  giveUp(reason: unknown): void {
    const end = this.#finish();
    if (!end) return;
    this.#named.users--;
    const leave = (): void => this.#place?.leave();
    if (this.#opening) {
      this.#opening.desert(leave);
    } else {
      this.#task?.care(false);
      this.#task?.cancel();
      // until its answer the range may be ours
      if (!this.#ranging) leave();
    }
    end.reject(reason);
  }

  #finish(): Settle | undefined {
    const end = this.#end;
    this.#end = undefined;
    this.#handle.requests.delete(this);
    return end;
  }

  #fail(outcome: NativeOpenerEvent | Error): void {
    this.#place?.leave();
    const end = this.#finish();
    if (!end) return;
    this.#named.users--;
    end.reject(outcome instanceof Error ? outcome : this.#handle.failure(outcome, this.#named.name));
  }

  // The first use of a name sees to its file: whether it is ours, and who may open it. The first use in EX sees to its
  // gate's, which is open to whom the file itself is open to.
  #introduce(): void {
    const { introduced, gated, name } = this.#named;
    const gate = this.#options.mode === "EX" && !this.#options.raw ? this.#handle.gateOf(name) : undefined;
    if (!introduced) {
      const { fileMode, uid = -1, gid = -1 } = this.#options;
      this.#see(
        { op: "create", path: this.#handle.pathOf(name), mode: fileMode ?? -1, uid, gid },
        () => {
          this.#named.introduced = true;
          this.#introduce();
        },
        // also when nobody waits for the lock any more: the file is there, and ours to drop
        ({ value }) => {
          this.#named.created ||= value === 1;
        },
      );
    } else if (gate !== undefined && !gated) {
      this.#see({ op: "stat", path: this.#handle.pathOf(name) }, ({ stat }) => {
        const owner = process.geteuid?.() === 0 ? { uid: stat?.uid ?? -1, gid: stat?.gid ?? -1 } : { uid: -1, gid: -1 };
        this.#see({ op: "create", path: gate, mode: (stat?.mode ?? 0o664) & 0o777, ...owner }, () => {
          this.#named.gated = true;
          this.#prepare();
        });
      });
    } else {
      this.#prepare();
    }
  }

  #see(
    request: NativeOpenerRequest,
    next: (outcome: NativeOpenerEvent) => void,
    note?: (outcome: NativeOpenerEvent) => void,
  ): void {
    this.#task = this.#handle.opener.submit(request, {
      done: (outcome) => {
        this.#task = undefined;
        if (!(outcome instanceof Error)) note?.(outcome);
        if (!this.#end) return;
        if (outcome instanceof Error) this.#fail(outcome);
        else if (outcome.errno === 0) next(outcome);
        else if (outcome.errno === ENOENT && this.#named.introduced) {
          // dropped by others since: once more from the beginning
          this.#named.introduced = false;
          this.#introduce();
        } else this.#fail(outcome);
      },
    });
  }

  // A request for the same lock that was given up may still be in the kernel: its grant is as good as one of our own.
  // But nothing is waited for with an open file in hand, so the others of this node come first.
  #prepare(): void {
    if (!this.#named.findDeserted(this.#options.mode)) {
      this.#open(!this.#options.excluded);
      return;
    }
    const { sidecar } = this.#handle;
    if (!sidecar || this.#options.excluded) {
      this.#takeOver();
      return;
    }
    this.#ranging = true;
    const range = this.#options.mode === "EX" ? EXCLUSIVE : SHARED;
    this.#task = this.#handle.opener.submit(
      { op: "acquire", path: "", name: this.#named.name, range, sidecar: sidecar.file },
      {
        done: (outcome) => {
          this.#task = undefined;
          this.#ranging = false;
          if (!this.#end) this.#place?.leave();
          else if (outcome instanceof Error || outcome.errno !== 0) this.#fail(outcome);
          else this.#takeOver();
        },
      },
    );
  }

  #takeOver(): void {
    const deserted = this.#named.findDeserted(this.#options.mode);
    if (!deserted) {
      this.#open(false);
      return;
    }
    this.#opening = deserted;
    deserted.adopt(this.#owner());
  }

  #open(exclude: boolean): void {
    const { mode, raw = false, fileMode } = this.#options;
    this.#opening = new Opening(this.#handle, this.#named, mode, { exclude, raw, fileMode }, this.#owner());
  }

  #owner(): ConstructorParameters<typeof Opening>[4] {
    return {
      opened: (file) => {
        this.#named.mark();
        this.#finish()?.resolve({ file, place: this.#place });
      },
      failed: (outcome) => {
        // the file has gone between two uses of the name: it will be made anew
        this.#named.introduced = false;
        this.#fail(outcome);
      },
    };
  }
}
