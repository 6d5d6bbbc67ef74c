// The daemon's words on standard error, one line each. Nobody may hold up the daemon by not reading them: what finds no room
// is kept up to a limit, then dropped and counted.
//
// Node writes terminals and files while everything waits (docs: "A note on process I/O"). So a terminal or pipe is opened
// anew without waiting, which leaves the description that others share as it is; a file is written by a thread of libuv's
// pool; a socket, as systemd gives one, is Node's and never waits.

import { closeSync, constants, fstatSync, openSync, write, writeSync } from "node:fs";
import net from "node:net";

/** As sd-daemon(3) has them. */
export type Priority = "warning" | "notice" | "info";

const LEVEL: Readonly<Record<Priority, string>> = { warning: "<4>", notice: "<5>", info: "<6>" };

/** Bytes that may wait. */
const ROOM = 64 * 1024;
const RETRY_MS = 250;
const POLL_MS = 10;

/** Takes bytes as far as it can without waiting, and calls when it may take more; or has ended for good. */
interface Sink {
  push(bytes: Buffer, taken: Taken): void;
  close(): void;
}

/** `count` bytes are done with, and were lost if `lost`. `undefined`: nothing more will ever be taken. */
type Taken = (count: number | undefined, lost?: boolean) => void;

export class Journal {
  readonly #sink: Sink;
  readonly #prefix: (priority: Priority) => string;
  #waiting: Buffer[] = [];
  #size = 0;
  #busy = false;
  #ended = false;
  #dropped = 0;
  #unreported = 0;

  constructor(fd = 2, env: NodeJS.ProcessEnv = process.env) {
    this.#sink = openSink(fd);
    // systemd's journal has a time of its own, and understands priorities
    this.#prefix = isJournal(fd, env) ? (priority) => LEVEL[priority] : () => `${new Date().toISOString()} `;
  }

  /** Lines that nobody will read. */
  get dropped(): number {
    return this.#dropped;
  }

  say(priority: Priority, text: string): void {
    if (this.#ended) {
      this.#dropped++;
      return;
    }
    const line = this.#line(priority, text);
    if (this.#size + line.length > ROOM) {
      this.#dropped++;
      this.#unreported++;
      return;
    }
    if (this.#unreported > 0) this.#append(this.#line("warning", `${this.#unreported} lines found no reader`));
    this.#unreported = 0;
    this.#append(line);
    this.#work();
  }

  /** Calls when what was said is said, or after so many milliseconds. */
  whenIdle(ms: number, then: () => void): void {
    if (!this.#busy || ms <= 0) then();
    else
      setTimeout(() => {
        this.whenIdle(ms - POLL_MS, then);
      }, POLL_MS);
  }

  close(): void {
    this.#ended = true;
    this.#sink.close();
  }

  #line(priority: Priority, text: string): Buffer {
    return Buffer.from(`${this.#prefix(priority)}${text.replace(/\p{Cc}+/gu, " ")}\n`);
  }

  #append(line: Buffer): void {
    this.#waiting.push(line);
    this.#size += line.length;
  }

  #work(): void {
    if (this.#busy || this.#ended || this.#size === 0) return;
    this.#busy = true;
    const bytes = Buffer.concat(this.#waiting);
    this.#sink.push(bytes, (count, lost = count === undefined) => {
      this.#busy = false;
      this.#ended ||= count === undefined;
      const before = this.#waiting.length;
      this.#take(count ?? this.#size);
      if (lost) this.#dropped += before - this.#waiting.length;
      this.#work();
    });
  }

  #take(count: number): void {
    this.#size -= count;
    while (count > 0) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      if (first.length > count) {
        this.#waiting[0] = first.subarray(count);
        return;
      }
      this.#waiting.shift();
      count -= first.length;
    }
  }
}

function openSink(fd: number): Sink {
  try {
    const stat = fstatSync(fd);
    if (stat.isFile()) return fileSink(fd);
    if (stat.isSocket()) return socketSink(fd);
    // a pipe, a terminal, another device
    return nonBlockingSink(
      openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
    );
  } catch {
    // closed, a pipe without a reader, or not ours to open
    const push = (_: Buffer, taken: Taken): void => {
      taken(undefined);
    };
    return { push, close: () => undefined };
  }
}

function nonBlockingSink(fd: number): Sink {
  let timer: NodeJS.Timeout | undefined;
  return {
    push(bytes, taken) {
      let count: number | undefined;
      try {
        count = writeSync(fd, bytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EAGAIN") count = 0;
      }
      if (count === undefined || count === bytes.length) {
        taken(count);
        return;
      }
      timer = setTimeout(taken, RETRY_MS, count);
      timer.unref();
    },
    close() {
      clearTimeout(timer);
      closeSync(fd);
    },
  };
}

function fileSink(fd: number): Sink {
  return {
    push(bytes, taken) {
      write(fd, bytes, (error, count) => {
        // a full disk: later lines may find room
        taken(error === null ? count : bytes.length, error !== null);
      });
    },
    close: () => undefined,
  };
}

function socketSink(fd: number): Sink {
  const socket = new net.Socket({ fd, readable: false, writable: true });
  socket.unref();
  let ended = false;
  let waiting: Taken | undefined;
  socket.on("error", () => undefined);
  socket.on("close", () => {
    ended = true;
    waiting?.(undefined);
  });
  return {
    push(bytes, taken) {
      if (ended) {
        taken(undefined);
        return;
      }
      waiting = taken;
      socket.write(bytes, (error) => {
        waiting = undefined;
        if (error == null) taken(bytes.length);
      });
    },
    // not destroyed: what is on its way is still sent, and the descriptor is the process's
    close: () => undefined,
  };
}

function isJournal(fd: number, env: NodeJS.ProcessEnv): boolean {
  try {
    const { dev, ino } = fstatSync(fd);
    return env["JOURNAL_STREAM"] === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
