// One ssh session with one host's agent.

import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import type { Readable as ReadableStream, Writable } from "node:stream";
import { Duplex, Readable } from "node:stream";

import { LabError, messageOf } from "../errors";
import { ControlChannel } from "../agent/channel";
import { within } from "../waiting";
import type { Greeting } from "./greeting";
import { afterGreeting } from "./greeting";

const CLOSE_MS = 5000;
const MAX_COMPLAINT = 2000;

export class Connection {
  readonly channel: ControlChannel = new ControlChannel();
  /** Settles when ssh has ended, with what it said last. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcessByStdio<Writable, ReadableStream, ReadableStream>;
  #greeting: Greeting | undefined;

  private constructor(argv: readonly string[]) {
    // ssh dies with this process, however that ends, and the session and its agent with ssh
    this.#child = spawn("setpriv", ["--pdeathsig", "TERM", "--", ...argv], { stdio: ["pipe", "pipe", "pipe"] });
    const { stdin, stdout, stderr } = this.#child;
    let said = "";
    stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-MAX_COMPLAINT);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        resolve(`cannot run setpriv (${error.message}): apt-get install util-linux`);
      });
      this.#child.once("close", (code, signal) => {
        resolve(said.trim().split("\n").at(-1) || `ssh ended with ${code ?? signal ?? "an error"}`);
      });
    });
    void this.ended.then(() => {
      this.channel.lose("died");
    });
    const messages = afterGreeting(stdout as AsyncIterable<Buffer>, (greeting) => {
      this.#greeting = greeting;
    });
    this.channel.connect(Duplex.from({ readable: Readable.from(messages, { objectMode: false }), writable: stdin }));
  }

  /** Settles when the host's agent has spoken. */
  static async open(argv: readonly string[], seconds: number, signal: AbortSignal): Promise<Connection> {
    const connection = new Connection(argv);
    const early = connection.ended.then((reason): never => {
      throw new LabError(reason);
    });
    early.catch(() => undefined);
    try {
      await within(seconds, "an answer", signal, Promise.race([connection.channel.hello, early]));
    } catch (error) {
      connection.cut();
      await connection.ended;
      throw error;
    }
    return connection;
  }

  get greeting(): Greeting {
    if (this.#greeting === undefined) throw new LabError("the agent has not spoken");
    return this.#greeting;
  }

  /** Whether the agent answers within so many seconds. */
  async answers(seconds: number): Promise<boolean> {
    try {
      const limit = AbortSignal.timeout(seconds * 1000);
      await Promise.race([this.channel.clockOffset(limit), this.ended.then(() => Promise.reject(new Error("ended")))]);
      return true;
    } catch (error) {
      return error instanceof Error ? false : Promise.reject(new LabError(messageOf(error)));
    }
  }

  /** Ends the session; the agent ends what it has started. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    const late = setTimeout(() => {
      this.cut();
    }, CLOSE_MS);
    await this.ended;
    clearTimeout(late);
  }

  /** Ends ssh on this side alone. */
  cut(): void {
    this.#child.kill("SIGKILL");
  }
}
