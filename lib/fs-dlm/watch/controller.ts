import { closeSync } from "node:fs";
import net from "node:net";

import { native } from "../../native";

import { tell } from "../../tell";

// dlm_controld listens here, in the abstract namespace; anybody may connect.
const SOCKET = "dlmc_sock";
const RETRY_MS = 100;
const [EPERM, EACCES, EMFILE, EAFNOSUPPORT, ECONNREFUSED] = [-1, -13, -24, -97, -111];
/** There is none, or this process may never ask. All else passes: EAGAIN, for one, means that it does not keep up. */
const NONE_TO_WATCH: readonly number[] = [ECONNREFUSED, EPERM, EACCES, EAFNOSUPPORT];

type Listener = () => void;

/**
 * Knows when dlm_controld goes: a connection that says nothing stays open for as long as the daemon lives, and its end
 * is its end. Without a daemon to connect to there is nothing to know: another controller may be at work.
 *
 * Who listens there is not checked, since Node has no SO_PEERCRED. While dlm_controld does not run, anybody could listen
 * in its place; but all that its end brings about is that a lockspace which stands still anyway is given up sooner.
 */
class ControllerWatch {
  readonly #listeners = new Set<Listener>();
  #socket: net.Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #seen = false;

  /** It was there, and is not any more. */
  gone = false;

  add(listener: Listener): () => void {
    if (!this.#socket && !this.#retry) this.#connect();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  #connect(): void {
    const fd = native().connectAbstract(SOCKET);
    const socket = fd < 0 ? fd : adopt(fd);
    if (typeof socket === "number") {
      this.#refused(socket);
      return;
    }
    this.#seen = true;
    this.gone = false;
    this.#socket = socket;
    const since = performance.now();
    socket.unref();
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      // Perhaps it hung up only on us: whether anybody is there, a new connection tells. Not at once, should it always
      // do so.
      if (performance.now() - since < RETRY_MS) this.#retryLater();
      else this.#connect();
    });
    socket.resume();
  }

  #refused(errno: number): void {
    if (!this.#seen && NONE_TO_WATCH.includes(errno)) return;
    this.#retryLater();
    if (errno === ECONNREFUSED) this.#lost();
  }

  #retryLater(): void {
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#connect();
    }, RETRY_MS).unref();
  }

  #lost(): void {
    if (this.gone) return;
    this.gone = true;
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) tell(listener);
  }

  #stop(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
    this.#seen = false;
    this.gone = false;
  }
}

// A negative errno when there is no socket to be made of it.
function adopt(fd: number): net.Socket | number {
  try {
    return new net.Socket({ fd, readable: true, writable: false });
  } catch {
    closeSync(fd);
    return EMFILE;
  }
}

/** One for all handles of this process or worker. */
export const controller: ControllerWatch = new ControllerWatch();
