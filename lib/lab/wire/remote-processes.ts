// The programs that one end of a connection has started at the other.

import type { Loss, NodeProcess } from "../cluster";
import type { FromProcess, ToProcess } from "./process-messages";
import { RemoteProcess } from "./remote-process";

export class RemoteProcesses {
  readonly #send: (message: ToProcess) => void;
  readonly #processes = new Map<number, RemoteProcess>();
  readonly #onEmpty: () => void;
  #nextId = 1;

  /** `onEmpty` is called whenever the last program is done. */
  constructor(send: (message: ToProcess) => void, onEmpty: () => void = () => undefined) {
    this.#send = send;
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#processes.size;
  }

  /** `start` has to send the message that starts the program under this id. */
  start(start: (id: number) => void): NodeProcess {
    const id = this.#nextId++;
    const process = new RemoteProcess(id, this.#send);
    this.#processes.set(id, process);
    void process.finished.then(() => {
      this.#processes.delete(id);
      if (this.#processes.size === 0) this.#onEmpty();
    });
    start(id);
    return process;
  }

  /** A program that could not be started because its node is gone. */
  lost(how: Loss): NodeProcess {
    const process = new RemoteProcess(0, this.#send);
    process.lose(how);
    return process;
  }

  take(message: FromProcess): void {
    const process = this.#processes.get(message.id);
    switch (message.t) {
      case "out":
        process?.output(message.fd, Buffer.from(message.d, "base64"));
        break;
      case "eof":
        process?.outputEnd(message.fd);
        break;
      case "stdin-done":
        process?.inputDone(message.gone);
        break;
      case "exit":
        process?.exited({ code: message.code, signal: message.signal, lost: message.lost });
        break;
    }
  }

  /** The other end is gone, and so are its programs. */
  lose(how: Loss): void {
    for (const process of this.#processes.values()) process.lose(how);
  }
}
