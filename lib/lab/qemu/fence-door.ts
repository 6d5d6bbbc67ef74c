// Where scripts/lab/fence-agent knocks: a named pipe with a line for each request, "VICTIM PIPE", PIPE for the answer.

import { execFileSync } from "node:child_process";
import { constants, openSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Socket } from "node:net";

import { LineSplitter } from "../lines";

const DOOR = "/run/clusterlock/fence";

type Ask = (id: number, victim: number) => void;

export class FenceDoor {
  /** The pipe on which each request is to be answered. */
  readonly #waiting = new Map<number, string>();
  #nextId = 1;

  constructor(ask: Ask) {
    execFileSync("mkfifo", ["-m", "600", DOOR]);
    // open for writing too, so that it never ends
    const door = new Socket({ fd: openSync(DOOR, constants.O_RDWR | constants.O_NONBLOCK), writable: false });
    const lines = new LineSplitter();
    door.on("data", (chunk: Buffer) => {
      for (const line of lines.push(chunk)) this.#take(line.toString(), ask);
    });
  }

  /** `reason`: why the victim is not off. */
  answer(id: number, reason: string | null): void {
    const pipe = this.#waiting.get(id);
    this.#waiting.delete(id);
    // an agent that has given up reads no answer
    if (pipe !== undefined) void writeFile(pipe, `${reason ?? "off"}\n`).catch(() => undefined);
  }

  #take(line: string, ask: Ask): void {
    const [victim, pipe = ""] = line.split(" ");
    const id = this.#nextId++;
    this.#waiting.set(id, pipe);
    ask(id, Number(victim));
  }
}
