// A program on a node, on behalf of a caller at the other end of a connection.

import type { NodeProcess } from "../cluster";
import { CreditOutput } from "../wire/credit-output";
import type { FromProcess, OutputFd, ToProcess } from "../wire/process-messages";

export class ServedProcess {
  readonly #id: number;
  readonly #process: NodeProcess;
  readonly #send: (message: FromProcess) => void;
  readonly #forget: () => void;
  readonly #outputs: ReadonlyMap<OutputFd, CreditOutput>;
  #open = 3;

  /** `forget` is called when there is nothing more to say about the program. */
  constructor(id: number, process: NodeProcess, send: (message: FromProcess) => void, forget: () => void) {
    this.#id = id;
    this.#process = process;
    this.#send = send;
    this.#forget = forget;
    process.stdin.on("error", () => undefined);
    this.#outputs = new Map([this.#forward(1), this.#forward(2)]);
    void process.exit.then((status) => {
      send({ t: "exit", id, ...status });
      this.#close();
    });
  }

  take(message: ToProcess): void {
    switch (message.t) {
      case "stdin":
        this.#process.stdin.write(Buffer.from(message.d, "base64"), (error) => {
          this.#send({ t: "stdin-done", id: this.#id, gone: error !== undefined && error !== null });
        });
        break;
      case "stdin-end":
        this.#process.stdin.end();
        break;
      case "credit":
        this.#outputs.get(message.fd)?.give(message.n);
        break;
      case "signal":
        this.#process.kill(message.signal);
        break;
    }
  }

  /** The caller went away. */
  abandon(): void {
    this.#process.kill("SIGTERM");
    this.#process.stdin.end();
    this.#process.stdout.destroy();
    this.#process.stderr.destroy();
  }

  #forward(fd: OutputFd): [OutputFd, CreditOutput] {
    const stream = fd === 1 ? this.#process.stdout : this.#process.stderr;
    const output = new CreditOutput(
      stream,
      (d) => {
        this.#send({ t: "out", id: this.#id, fd, d });
      },
      () => {
        this.#send({ t: "eof", id: this.#id, fd });
        this.#close();
      },
    );
    return [fd, output];
  }

  #close(): void {
    if (--this.#open === 0) this.#forget();
  }
}
