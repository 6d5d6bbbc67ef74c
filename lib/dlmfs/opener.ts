import { DlmfsError, LockStateError } from "../errors";
import { type NativeOpener, type NativeOpenerEvent, type NativeOpenerRequest, native, openerPath } from "../native";

/** Where the calls sleep that may never return: in a process of their own, or in threads of this one. */
export type Isolation = "process" | "thread";

export interface TaskHandlers {
  /** An acquire waits for nobody of this node any more. */
  phase?: () => void;
  /** How it ended; an error when the opener was lost or could not be started. */
  done: (outcome: NativeOpenerEvent | Error) => void;
}

/** A request that an opener works on. */
export class Task {
  readonly id: number;
  readonly #opener: Opener;
  #cared = true;

  /** @internal */
  constructor(opener: Opener, id: number) {
    this.#opener = opener;
    this.id = id;
  }

  /** Ends a wait for others of this node; no effect on what is in the kernel. */
  cancel(): void {
    this.#opener.cancel(this.id);
  }

  /** Whether somebody waits for its end: then it keeps the process alive. */
  care(on: boolean): void {
    if (this.#cared === on) return;
    this.#cared = on;
    this.#opener.care(on ? 1 : -1);
  }
}

interface Entry {
  task: Task;
  request: NativeOpenerRequest;
  handlers: TaskHandlers;
}

const shared = new Map<Isolation, Opener>();

/**
 * This process's or worker's opener: the helper that makes the calls on ocfs2_dlmfs mounts. It is started by the first
 * request, ends with its last user, and one that was killed is followed by another.
 */
export class Opener {
  readonly #isolation: Isolation;
  readonly #entries = new Map<number, Entry>();
  #unsent: Entry[] = [];
  #native: NativeOpener | undefined;
  #starting = false;
  #users = 0;
  #cared = 0;
  #next = 1;

  private constructor(isolation: Isolation) {
    this.#isolation = isolation;
  }

  /** The one for this isolation. Give it back by `leave()`. */
  static join(isolation: Isolation): Opener {
    let opener = shared.get(isolation);
    if (!opener) {
      opener = new Opener(isolation);
      shared.set(isolation, opener);
    }
    opener.#users++;
    return opener;
  }

  /** The last one to leave ends it, with all that is still in the kernel. */
  leave(): void {
    if (--this.#users > 0) return;
    shared.delete(this.#isolation);
    this.#native?.close();
    this.#native = undefined;
    this.#fail(leftError());
  }

  /** Its process id, once it runs. */
  get pid(): number | undefined {
    return this.#native?.pid;
  }

  submit(request: NativeOpenerRequest, handlers: TaskHandlers): Task {
    const id = this.#next;
    this.#next = id === 0xffffffff ? 1 : id + 1;
    const task = new Task(this, id);
    const entry = { task, request, handlers };
    this.#entries.set(id, entry);
    this.care(1);
    if (this.#native) {
      this.#send(this.#native, entry);
    } else if (this.#users === 0) {
      queueMicrotask(() => {
        this.#settle(id, leftError());
      });
    } else {
      this.#unsent.push(entry);
      this.#start();
    }
    return task;
  }

  /** As `submit`, for what is waited for to its end. */
  perform(request: NativeOpenerRequest): Promise<NativeOpenerEvent> {
    return new Promise((resolve, reject) => {
      this.submit(request, {
        done: (outcome) => {
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        },
      });
    });
  }

  cancel(id: number): void {
    const unsent = this.#unsent.find(({ task }) => task.id === id);
    if (unsent) {
      this.#unsent.splice(this.#unsent.indexOf(unsent), 1);
      queueMicrotask(() => {
        this.#settle(id, { id, kind: "done", errno: ECANCELED, syscall: "fcntl" });
      });
      return;
    }
    if (this.#entries.has(id)) this.#native?.cancel(id);
  }

  care(change: 1 | -1): void {
    this.#cared += change;
    if (this.#cared === 0) this.#native?.setRef(false);
    else if (this.#cared === 1 && change === 1) this.#native?.setRef(true);
  }

  #send(opener: NativeOpener, { task, request }: Entry): void {
    try {
      opener.request(task.id, request);
    } catch (error) {
      queueMicrotask(() => {
        this.#settle(task.id, error as Error);
      });
    }
  }

  #start(): void {
    if (this.#starting) return;
    this.#starting = true;
    try {
      this.#spawn();
    } catch (error) {
      queueMicrotask(() => {
        this.#starting = false;
        if (isSystemError(error)) this.#started(error, undefined);
        else this.#fail(error as Error);
      });
    }
  }

  #spawn(): void {
    native().startOpener(
      openerPath(),
      this.#isolation,
      (failure, opener) => {
        this.#starting = false;
        this.#started(failure, opener);
      },
      (events) => {
        for (const event of events) this.#onEvent(event);
      },
      () => {
        this.#native = undefined;
        this.#fail(
          new LockStateError(
            "ERR_OPENER_LOST",
            "the helper process that opens locks was killed: whether the request was granted is not known, and nothing " +
              "is held by it; ask again",
          ),
        );
      },
    );
  }

  #started(failure: { errno: number; syscall: string } | undefined, opener: NativeOpener | undefined): void {
    if (!opener) {
      const { errno = -5, syscall = "spawn" } = failure ?? {};
      this.#fail(
        new DlmfsError({
          errno,
          syscall,
          path: openerPath(),
          hint: "the helper process that opens locks could not be started; isolation: 'thread' does without one",
        }),
      );
      return;
    }
    if (this.#users === 0) {
      opener.close();
      return;
    }
    this.#native = opener;
    if (this.#cared > 0) opener.setRef(true);
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const entry of unsent) this.#send(opener, entry);
  }

  #onEvent(event: NativeOpenerEvent): void {
    if (event.kind === "phase") this.#entries.get(event.id)?.handlers.phase?.();
    else this.#settle(event.id, event);
  }

  #settle(id: number, outcome: NativeOpenerEvent | Error): void {
    const entry = this.#entries.get(id);
    if (!entry) {
      if (!(outcome instanceof Error)) outcome.file?.close();
      return;
    }
    this.#entries.delete(id);
    entry.task.care(false);
    entry.handlers.done(outcome);
  }

  #fail(error: Error): void {
    this.#unsent = [];
    for (const id of [...this.#entries.keys()]) this.#settle(id, error);
  }
}

function leftError(): LockStateError {
  return new LockStateError("ERR_DOMAIN_CLOSED", "the domain was closed");
}

function isSystemError(error: unknown): error is { errno: number; syscall: string } {
  const { errno, syscall } = error as NodeJS.ErrnoException;
  return typeof errno === "number" && typeof syscall === "string";
}

const ECANCELED = -125;
