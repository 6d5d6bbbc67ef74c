// One program that the agent runs for the lab.

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, statSync } from "node:fs";
import { Socket } from "node:net";

import { CreditOutput } from "../wire/credit-output";
import type { OutputFd } from "../wire/process-messages";
import type { FromAgent, ToAgent } from "./messages";
import type { PipeMaker } from "./pipes";

type Exec = Extract<ToAgent, { t: "exec" }>;

/** The shell's word for a program that is not there, and for one that cannot be run. */
const NOT_FOUND = 127;
const NOT_RUNNABLE = 126;

export class AgentProcess {
  readonly #id: number;
  readonly #send: (message: FromAgent) => void;
  readonly #forget: () => void;
  readonly #child: ChildProcess | undefined;
  readonly #input: Socket | undefined;
  readonly #outputs = new Map<OutputFd, CreditOutput>();
  #exited = false;

  /** `forget` is called when there is nothing more to say about the process. */
  constructor(exec: Exec, pipes: PipeMaker, send: (message: FromAgent) => void, forget: () => void) {
    this.#id = exec.id;
    this.#send = send;
    this.#forget = forget;
    if (!isDirectory(exec.cwd)) {
      this.#refuse(`there is no directory ${exec.cwd} on this node`, NOT_FOUND);
      return;
    }
    const stdin = pipes.make("writer");
    const stdout = pipes.make("reader");
    const stderr = pipes.make("reader");
    this.#input = new Socket({ fd: stdin.writer, readable: false, writable: true });
    // the program may close its input before it has read all: its own affair
    this.#input.on("error", () => undefined);
    this.#forward(1, stdout.reader);
    this.#forward(2, stderr.reader);
    const theirs = [stdin.reader, stdout.writer, stderr.writer];
    try {
      this.#child = this.#start(exec, theirs);
    } catch (error) {
      this.#fail(`cannot run ${exec.argv[0] ?? ""}: ${String(error)}`, NOT_RUNNABLE);
    } finally {
      for (const fd of theirs) closeSync(fd);
    }
  }

  input(data: Buffer): void {
    const input = this.#input;
    if (input?.writable !== true) {
      this.#send({ t: "stdin-done", id: this.#id, gone: true });
      return;
    }
    input.write(data, (error) => {
      this.#send({ t: "stdin-done", id: this.#id, gone: error !== undefined && error !== null });
    });
  }

  endInput(): void {
    this.#input?.end();
  }

  credit(fd: OutputFd, count: number): void {
    this.#outputs.get(fd)?.give(count);
  }

  signal(signal: NodeJS.Signals): void {
    try {
      this.#child?.kill(signal);
    } catch {
      // a name that this system has no signal for
    }
  }

  #start(exec: Exec, stdio: number[]): ChildProcess {
    const [file = "", ...args] = exec.argv;
    const child = spawn(file, args, { cwd: exec.cwd, env: exec.env, stdio });
    child.once("error", (error: NodeJS.ErrnoException) => {
      // with a pid the error is not one of starting it
      if (child.pid !== undefined) return;
      this.#fail(
        `cannot run ${file}: ${error.code ?? error.message}`,
        error.code === "ENOENT" ? NOT_FOUND : NOT_RUNNABLE,
      );
    });
    child.once("exit", (code, signal) => {
      this.#end(code, signal);
    });
    return child;
  }

  #forward(fd: OutputFd, from: number): void {
    const output = new CreditOutput(
      new Socket({ fd: from, readable: true, writable: false }),
      (d) => {
        this.#send({ t: "out", id: this.#id, fd, d });
      },
      () => {
        this.#outputs.delete(fd);
        this.#send({ t: "eof", id: this.#id, fd });
        this.#forgetIfDone();
      },
    );
    this.#outputs.set(fd, output);
  }

  #end(code: number | null, signal: NodeJS.Signals | null): void {
    this.#exited = true;
    this.#input?.destroy();
    this.#send({ t: "exit", id: this.#id, code, signal, lost: null });
    this.#forgetIfDone();
  }

  // its outputs end by themselves, as nobody else has them
  #fail(reason: string, code: number): void {
    this.#complain(reason);
    this.#end(code, null);
  }

  #refuse(reason: string, code: number): void {
    this.#complain(reason);
    this.#send({ t: "eof", id: this.#id, fd: 1 });
    this.#send({ t: "eof", id: this.#id, fd: 2 });
    this.#end(code, null);
  }

  #complain(reason: string): void {
    const text = Buffer.from(`clusterlock lab: ${reason}\n`).toString("base64");
    this.#send({ t: "out", id: this.#id, fd: 2, d: text });
  }

  #forgetIfDone(): void {
    // not while the constructor runs: the agent has yet to remember it
    if (this.#exited && this.#outputs.size === 0) setImmediate(this.#forget);
  }
}

function isDirectory(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch {
    return false;
  }
}
