import net from "node:net";

import { native } from "../../native";

// dlm_controld listens here, in the abstract namespace; anybody may connect.
const SOCKET = "dlmc_sock";
const RETRY_MS = 100;
const ECONNREFUSED = -111;

type Listener = () => void;

/**
 * Knows when dlm_controld goes: a connection that says nothing stays open for as long as the daemon lives, and its end
 * is its end. Without a daemon to connect to there is nothing to know: another controller may be at work.
 */
class ControllerWatch {
  readonly #listeners = new Set<Listener>();
  #socket: net.Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #seen = false;

  /** It was there, and is not any more. */
  gone = false;

  add(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (!this.#socket && !this.#retry) this.#connect();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  #connect(): void {
    const fd = native().connectAbstract(SOCKET);
    if (fd < 0) {
      if (this.#seen) this.#refused(fd);
      return;
    }
    this.#seen = true;
    this.gone = false;
    const socket = new net.Socket({ fd, readable: true, writable: false });
    this.#socket = socket;
    socket.unref();
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      // Perhaps it hung up only on us: whether anybody is there, a new connection tells.
      this.#connect();
    });
    socket.resume();
  }

  #refused(errno: number): void {
    // EAGAIN: there, but it does not keep up
    if (errno === ECONNREFUSED) this.#lost();
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#listeners.size > 0) this.#connect();
    }, RETRY_MS).unref();
  }

  #lost(): void {
    if (this.gone) return;
    this.gone = true;
    for (const listener of [...this.#listeners]) listener();
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

/** One for all handles of this process or worker. */
export const controller: ControllerWatch = new ControllerWatch();
