// `clusterlock lab` as a user starts it, and what it must not leave behind.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export const CLI: string = path.resolve(__dirname, "../../../dist/cli/main.js");

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves when standard output holds the text. */
  printed(part: string): Promise<void>;
}

/** Starts `clusterlock lab run` as a user would. */
export function labRun(tmp: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  return lab(tmp, ["run", ...args], env);
}

/** The same for any verb. */
export function lab(tmp: string, [verb = "", ...args]: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  const { CLUSTERLOCK_TEST_KERNEL: kernel = "" } = process.env;
  const boots = verb === "run" || verb === "up";
  const child = spawn(
    process.execPath,
    [CLI, "lab", verb, ...(boots && kernel !== "" ? ["--kernel", kernel] : []), ...args],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: tmp, ...env },
    },
  );
  let stdout = "";
  let stderr = "";
  const waiting: { part: string; resolve: () => void }[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    for (const { part, resolve } of waiting) if (stdout.includes(part)) resolve();
  });
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const finished = new Promise<Finished>((resolve) => {
    child.once("close", (status) => {
      resolve({ status, stdout, stderr });
    });
  });
  return {
    child,
    finished,
    printed: async (part) => {
      const seen = new Promise<void>((resolve) => {
        waiting.push({ part, resolve });
      });
      const early = finished.then((end) => {
        assert.ok(end.stdout.includes(part), `it ended without "${part}":\n${end.stderr}`);
      });
      await Promise.race([seen, early]);
    },
  };
}

/** Processes whose command line names the directory, as those of a lab name its TMPDIR. */
export function processesOf(directory: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(directory);
      } catch {
        return false;
      }
    });
}

/** Nothing of the lab is left, at the latest after a moment: no process, no file. */
export async function assertNothingLeft(tmp: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while ((processesOf(tmp).length > 0 || readdirSync(tmp).length > 0) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(processesOf(tmp), []);
  assert.deepEqual(readdirSync(tmp), []);
}
