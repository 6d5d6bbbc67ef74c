// The handle of a program that runs at the other end of a connection.

import { Readable, Writable } from "node:stream";

import type { ExitStatus, Loss, NodeProcess } from "../cluster";
import type { OutputFd, ToProcess } from "./process-messages";
import { PIECE } from "./process-messages";

type Done = (error?: Error | null) => void;

/** Gives its node credit for what has been read from it. */
class Output extends Readable {
  ended = false;
  readonly #credit: (count: number) => void;
  #unread = 0;

  constructor(credit: (count: number) => void) {
    super();
    this.#credit = credit;
  }

  give(data: Buffer): void {
    if (this.destroyed) {
      // nobody will read it, but the program must not stop because of that
      this.#credit(data.length);
    } else if (this.push(data)) {
      this.#credit(data.length);
    } else {
      this.#unread += data.length;
    }
  }

  end(): void {
    this.ended = true;
    this.push(null);
  }

  override _read(): void {
    if (this.#unread === 0) return;
    this.#credit(this.#unread);
    this.#unread = 0;
  }

  override _destroy(error: Error | null, done: Done): void {
    this._read();
    done(error);
  }
}

/** One piece under way at a time: the node's program decides how fast it reads. */
class Input extends Writable {
  readonly #id: number;
  readonly #send: (message: ToProcess) => void;
  #left: Buffer = Buffer.alloc(0);
  #done: Done | undefined;
  #gone = false;

  constructor(id: number, send: (message: ToProcess) => void) {
    super();
    this.#id = id;
    this.#send = send;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#left = chunk;
    this.#done = done;
    this.#next();
  }

  override _final(done: Done): void {
    this.#send({ t: "stdin-end", id: this.#id });
    done();
  }

  /** The piece under way is written; or its reader is gone, and the rest is lost as in a pipe's buffer. */
  settled(gone: boolean): void {
    this.#gone ||= gone;
    this.#next();
  }

  #next(): void {
    if (this.#left.length > 0 && !this.#gone) {
      this.#send({ t: "stdin", id: this.#id, d: this.#left.toString("base64", 0, PIECE) });
      this.#left = this.#left.subarray(PIECE);
      return;
    }
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }
}

export class RemoteProcess implements NodeProcess {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly exit: Promise<ExitStatus>;
  /** The process has ended and its output has arrived: its node has no more to say about it. */
  readonly finished: Promise<void>;
  readonly #id: number;
  readonly #send: (message: ToProcess) => void;
  #status: ExitStatus | undefined;
  #settle!: (status: ExitStatus) => void;
  #finish!: () => void;

  constructor(id: number, send: (message: ToProcess) => void) {
    this.#id = id;
    this.#send = send;
    this.stdin = new Input(id, send);
    this.stdout = this.#stream(1);
    this.stderr = this.#stream(2);
    this.exit = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    if (this.#status === undefined) this.#send({ t: "signal", id: this.#id, signal });
  }

  output(fd: OutputFd, data: Buffer): void {
    this.#of(fd).give(data);
  }

  outputEnd(fd: OutputFd): void {
    this.#of(fd).end();
    this.#finishIfDone();
  }

  inputDone(gone: boolean): void {
    this.stdin.settled(gone);
  }

  exited(status: ExitStatus): void {
    this.#end(status);
  }

  lose(how: Loss): void {
    for (const stream of [this.stdout, this.stderr]) if (!stream.ended) stream.end();
    this.#end({ code: null, signal: null, lost: how });
  }

  #end(status: ExitStatus): void {
    // output may outlive the process in its children, and be cut off later by the loss of the node
    this.#status ??= status;
    this.stdin.settled(true);
    this.#settle(this.#status);
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (this.#status !== undefined && this.stdout.ended && this.stderr.ended) this.#finish();
  }

  #stream(fd: OutputFd): Output {
    const id = this.#id;
    return new Output((n) => {
      this.#send({ t: "credit", id, fd, n });
    });
  }

  #of(fd: OutputFd): Output {
    return fd === 1 ? this.stdout : this.stderr;
  }
}
