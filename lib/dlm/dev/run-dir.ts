// What the controller keeps in /run: gone with the next boot, like all that it is about.

import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { startTime } from "./processes";

export interface Notes {
  readonly pid: number;
  readonly startTime: string;
  /** Lockspaces can be created. */
  readonly ready: boolean;
  /** What was not there before `up`, to be taken away again by `down`. */
  readonly loadedModule: boolean;
  readonly mountedConfigfs: boolean;
}

export class RunDir {
  readonly path: string;

  constructor(dir = "/run/clusterlock") {
    this.path = dir;
  }

  get lock(): string {
    return path.join(this.path, "dev.lock");
  }
  get log(): string {
    return path.join(this.path, "dev.log");
  }
  get socket(): string {
    return path.join(this.path, "dev.sock");
  }
  get #notes(): string {
    return path.join(this.path, "dev.json");
  }

  make(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o755 });
  }

  /** The notes of the controller, or of one that has died. */
  read(): Notes | undefined {
    try {
      return JSON.parse(readFileSync(this.#notes, "utf8")) as Notes;
    } catch {
      return undefined; // renamed into place whole: it is there and right, or not there
    }
  }

  write(notes: Notes): void {
    writeFileSync(`${this.#notes}.new`, `${JSON.stringify(notes)}\n`);
    renameSync(`${this.#notes}.new`, this.#notes);
  }

  /** Takes away all that is the controller's. Its lock's file too: who has it open sees that it was deleted. */
  clear(): void {
    for (const file of [this.#notes, `${this.#notes}.new`, this.socket, this.log, this.lock])
      rmSync(file, { force: true });
    try {
      rmdirSync(this.path);
    } catch {
      // others keep something there
    }
  }
}

/** Whether the controller that wrote this has not ended. */
export function alive(notes: Notes): boolean {
  return startTime(notes.pid) === notes.startTime;
}
