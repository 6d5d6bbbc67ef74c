// Real pipes for the agent's programs. Node's own spawn() gives them sockets instead, on which a shell's
// `echo text > /dev/stderr` fails; so these are named pipes that lose their name at once.

import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdirSync, openSync, rmSync, unlinkSync } from "node:fs";
import path from "node:path";

const DIRECTORY = "/run/clusterlock/pipes";
const BATCH = 48;

export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

export class PipeMaker {
  readonly #directory: string;
  readonly #names: string[] = [];
  #count = 0;

  constructor(directory: string = DIRECTORY) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    this.#refill();
  }

  /** `ours` is the end that the agent keeps: it does not block, and the other does. */
  make(ours: "reader" | "writer"): Pipe {
    let name = this.#names.pop();
    if (name === undefined) {
      this.#refill();
      name = this.#names.pop();
    }
    if (name === undefined) throw new Error("mkfifo made nothing");
    // open at both ends, so neither open below waits for the other
    const both = openSync(name, constants.O_RDWR);
    const reader = openSync(name, constants.O_RDONLY | (ours === "reader" ? constants.O_NONBLOCK : 0));
    const writer = openSync(name, constants.O_WRONLY | (ours === "writer" ? constants.O_NONBLOCK : 0));
    closeSync(both);
    unlinkSync(name);
    return { reader, writer };
  }

  /** Takes away the names that no pipe has used. */
  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #refill(): void {
    for (let made = 0; made < BATCH; made++) this.#names.push(path.join(this.#directory, String(this.#count++)));
    execFileSync("mkfifo", ["-m", "600", ...this.#names]);
  }
}
