import type {
  NativeAddon,
  NativeFile,
  NativeOpener,
  NativeOpenerEvent,
  NativeOpenerRequest,
} from "../../../lib/native";
import { NO_ADDON } from "../support/no-addon";

/** A descriptor that remembers what was done to it. */
export class FakeFile implements NativeFile {
  static next: number = 100;
  fd: number = FakeFile.next++;
  closed = false;
  value: Uint8Array | undefined = new Uint8Array(64);
  demanded = false;
  listener: (() => void) | undefined;
  readonly ranges: string[] = [];
  rangeAnswer = 0;

  read(target: Uint8Array): number {
    if (!this.value) return 0;
    target.set(this.value.subarray(0, target.length));
    return target.length;
  }
  write(source: Uint8Array): number {
    this.value = Uint8Array.from(source);
    return source.length;
  }
  readable(): boolean {
    return this.demanded;
  }
  watch(callback: () => void): void {
    this.listener = callback;
    if (this.demanded) this.demand();
  }
  unwatch(): void {
    this.listener = undefined;
  }
  setRef(): void {
    // nothing here keeps the process alive
  }
  range(name: string, kind: 0 | 1 | 2, type: 0 | 1 | 2): number {
    if (kind === 0) this.ranges.push(`${["unlock", "shared", "exclusive"][type]} ${name}`);
    return type === 0 ? 0 : this.rangeAnswer;
  }
  close(): number {
    this.closed = true;
    this.fd = -1;
    this.listener = undefined;
    return 0;
  }
  demand(on = true): void {
    this.demanded = on;
    const { listener } = this;
    this.listener = undefined;
    if (listener) setImmediate(listener);
  }
}

interface Asked {
  id: number;
  request: NativeOpenerRequest;
}

/** An opener that keeps lock requests until the test answers them; everything else it does at once. */
export class FakeOpener {
  asked: Asked[] = [];
  cancelled: number[] = [];
  files: FakeFile[] = [];
  existing: Set<string> = new Set<string>();
  started = 0;
  closed = 0;
  /** The outcome of whole operations, by "op path". */
  answers: Map<string, Partial<NativeOpenerEvent>> = new Map();
  log: string[] = [];
  #events: ((events: NativeOpenerEvent[]) => void) | undefined;
  #ended: (() => void) | undefined;
  #announce: Parameters<NativeAddon["watchUevents"]>[0] | undefined;

  get addon(): NativeAddon {
    return {
      ...NO_ADDON,
      connectAbstract: () => -111,
      watchUevents: (callback) => {
        this.#announce = callback;
        return { setRef: () => undefined, close: () => undefined };
      },
      startOpener: (_path, _isolation, started, events, ended) => {
        this.started++;
        this.#events = events;
        this.#ended = ended;
        const opener: NativeOpener = {
          pid: 4711,
          request: (id, request) => {
            this.#take(id, request);
          },
          cancel: (id) => this.cancelled.push(id),
          setRef: () => undefined,
          close: () => this.closed++,
        };
        setImmediate(() => {
          started(undefined, opener);
        });
      },
    };
  }

  /** The kernel says what has become of a lockspace. */
  announce(action: string, lockspace: string): void {
    this.#announce?.([{ action, lockspace, devpath: "" }], false);
  }

  /** Lock requests that wait for the kernel, or for others of the node. */
  waiting(name: string): Asked[] {
    return this.asked.filter(({ request }) => request.name === name);
  }

  #take(id: number, request: NativeOpenerRequest): void {
    this.log.push(`${request.op} ${request.path}`);
    if (request.op === "acquire" && !request.path.includes("/.clusterlock-keep")) {
      this.asked.push({ id, request });
      return;
    }
    const answer = this.answers.get(`${request.op} ${request.path}`) ?? this.#usual(request);
    setImmediate(() => {
      this.tell({ id, ...answer });
    });
  }

  #usual(request: NativeOpenerRequest): Partial<NativeOpenerEvent> {
    const { op, path } = request;
    switch (op) {
      case "stat":
        return this.existing.has(path)
          ? { stat: { dev: 1, ino: 1, mode: 0o100644, uid: 0, gid: 0 } }
          : { errno: -2, syscall: "stat" };
      case "mkdir":
      case "create": {
        const value = this.existing.has(path) ? 0 : 1;
        this.existing.add(path);
        return { value };
      }
      case "unlink":
      case "rmdir":
        return this.existing.delete(path) ? {} : { errno: -2, syscall: op };
      case "acquire":
      case "sidecar":
        return { file: this.file() };
      default:
        return {};
    }
  }

  file(): FakeFile {
    const file = new FakeFile();
    this.files.push(file);
    return file;
  }

  tell(event: { id: number } & Partial<NativeOpenerEvent>): void {
    this.#events?.([{ kind: "done", errno: 0, syscall: "", ...event }]);
  }

  /** The request is in the kernel. */
  phase(asked: Asked): void {
    this.tell({ id: asked.id, kind: "phase" });
  }

  /** The kernel grants it; returns the open file. */
  grant(asked: Asked): FakeFile {
    this.asked.splice(this.asked.indexOf(asked), 1);
    const file = this.file();
    this.tell({ id: asked.id, ...(asked.request.path !== "" && { file }) });
    return file;
  }

  refuse(asked: Asked, errno: number, syscall: string): void {
    this.asked.splice(this.asked.indexOf(asked), 1);
    this.tell({ id: asked.id, errno, syscall });
  }

  /** It was killed. */
  end(): void {
    this.asked = [];
    this.#ended?.();
  }
}
