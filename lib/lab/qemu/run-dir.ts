// The temporary directory of one lab: sockets, disks and consoles. Its name is how the lab is found.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";

import { LabError, messageOf } from "../errors";
import { labSocketAnswers } from "../labs";
import { LAB_SOCKET_NAME, labDirectory, labRoot } from "../paths";

export class RunDir {
  readonly path: string;
  readonly #janitor: { dismiss: () => Promise<void> };

  private constructor(directory: string, janitor: { dismiss: () => Promise<void> }) {
    this.path = directory;
    this.#janitor = janitor;
  }

  /**
   * `name`: the lab's, or undefined for one that is made up. `scrap`: another directory, which is removed with this one
   * when it is empty.
   */
  static async create(name: string | undefined, scrap?: string): Promise<RunDir> {
    try {
      const directory = name === undefined ? await mkdtemp(labDirectory("")) : await claim(name);
      return new RunDir(directory, hireJanitor(directory, scrap));
    } catch (error) {
      if (error instanceof LabError) throw error;
      throw new LabError(`cannot make a directory in ${labRoot()} (${messageOf(error)}): set TMPDIR`);
    }
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await this.#janitor.dismiss();
  }
}

/** A lab listens so long after it has made its directory, at the latest. */
const STARTING_MS = 60_000;

async function claim(name: string): Promise<string> {
  const directory = labDirectory(name);
  const make = async (): Promise<boolean> =>
    mkdir(directory, { mode: 0o700 }).then(
      () => true,
      (error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
        throw error;
      },
    );
  if (await make()) return directory;
  const found = await lstat(directory).catch(() => undefined);
  if (found !== undefined && found.uid !== process.getuid?.()) {
    throw new LabError(`${directory} is another user's: take another name`);
  }
  if (
    found !== undefined &&
    Date.now() - found.ctimeMs < STARTING_MS &&
    !existsSync(path.join(directory, LAB_SOCKET_NAME))
  ) {
    throw new LabError(`another lab named ${name} is starting`);
  }
  if (await labSocketAnswers(directory)) {
    throw new LabError(`a lab named ${name} is up already: take another name, or end it by clusterlock lab down`);
  }
  // of a lab whose machine went down under it
  await rm(directory, { recursive: true, force: true });
  if (await make()) return directory;
  throw new LabError(`another lab named ${name} is starting`);
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
