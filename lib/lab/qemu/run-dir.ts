// The temporary directory of one lab: sockets and consoles.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";

import { LabError, messageOf } from "../errors";
import { tempRoot } from "../paths";

// a unix socket's path has 108 bytes
const MAX_LENGTH = 80;

export class RunDir {
  readonly path: string;
  readonly #janitor: { dismiss: () => Promise<void> };

  private constructor(directory: string, janitor: { dismiss: () => Promise<void> }) {
    this.path = directory;
    this.#janitor = janitor;
  }

  /** `scrap`: another directory, which is removed with this one when it is empty. */
  static async create(scrap?: string): Promise<RunDir> {
    const wanted = tempRoot();
    const base = wanted.length + 20 > MAX_LENGTH ? "/tmp" : wanted;
    try {
      const directory = await mkdtemp(path.join(base, "clusterlock-lab-"));
      return new RunDir(directory, hireJanitor(directory, scrap));
    } catch (error) {
      throw new LabError(`cannot make a directory for the lab's sockets (${messageOf(error)}): set TMPDIR`);
    }
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await this.#janitor.dismiss();
  }

  /** Leaves the directory for a person to look at. */
  async keep(): Promise<void> {
    await this.#janitor.dismiss();
  }
}

const CLEAN = 'read -r word || { rm -rf "$1"; rmdir "$2"; }';

// Removes the directory when this process is killed without a chance to do so itself: its input ends with us.
function hireJanitor(directory: string, scrap = directory): { dismiss: () => Promise<void> } {
  const janitor = spawn("sh", ["-c", CLEAN, "sh", directory, scrap], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    detached: true,
  });
  const gone = new Promise<void>((resolve) => {
    janitor.once("error", () => {
      resolve();
    });
    janitor.once("close", () => {
      resolve();
    });
  });
  janitor.stdin.on("error", () => undefined);
  return {
    dismiss: async () => {
      janitor.stdin.end("dismissed\n");
      await gone;
    },
  };
}
