// Runs the host's own tools while an image is made.

import { spawn } from "node:child_process";

import { LabError } from "../errors";

export interface CommandOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
}

/** Standard output of a command that has to succeed. It dies with this process, however that ends. */
export async function command(argv: readonly string[], options: CommandOptions): Promise<string> {
  options.signal.throwIfAborted();
  const child = spawn("setpriv", ["--pdeathsig", "TERM", "--", ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: "C" },
    detached: true,
  });
  const stop = (): void => {
    // a group of its own: it may have started others
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    } catch {
      // it has just ended
    }
  };
  options.signal.addEventListener("abort", stop, { once: true });
  try {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    const status = await new Promise<number | string>((resolve, reject) => {
      child.once("error", (error) => {
        reject(new LabError(`cannot run setpriv (${error.message}): apt-get install util-linux`));
      });
      child.once("close", (code, signal) => {
        resolve(code ?? signal ?? "unknown");
      });
    });
    options.signal.throwIfAborted();
    if (status !== 0) {
      throw new CommandError(argv, status, Buffer.concat(stderr).toString().trim());
    }
    return Buffer.concat(stdout).toString();
  } finally {
    options.signal.removeEventListener("abort", stop);
  }
}

/** A tool ended with something else than 0. */
export class CommandError extends LabError {
  readonly stderr: string;

  constructor(argv: readonly string[], status: number | string, stderr: string) {
    const last = stderr.split("\n").at(-1) ?? "";
    super(`${argv.slice(0, 2).join(" ")} ended with ${status}${last === "" ? "" : `: ${last}`}`);
    this.stderr = stderr;
  }
}
