import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";

import { DOUBLE_PATH } from "../native/double";

const programs = path.join(__dirname, "programs");
const { STATES } = createRequire(__filename)("./programs/states.cjs") as { STATES: string[] };

interface End {
  code: number | null;
  signal: string | null;
  stderr: string;
}

function start(state: string, ending: string): { child: ChildProcess; ended: Promise<End>; ready: Promise<void> } {
  const child = spawn(process.execPath, [path.join(programs, "end.cjs"), DOUBLE_PATH, state, ending]);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ready = once(child.stdout, "data").then(() => undefined);
  const ended = once(child, "exit").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
    stderr,
  }));
  return { child, ended, ready };
}

async function inTime(ended: Promise<End>, child: ChildProcess): Promise<End> {
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const end = await ended;
  clearTimeout(timer);
  return end;
}

describe("the end of a process", () => {
  for (const state of STATES) {
    it(`${state}: process.exit() ends it with its code`, async () => {
      const { child, ended } = start(state, "exit");
      assert.deepEqual(await inTime(ended, child), { code: 7, signal: null, stderr: "" });
    });

    it(`${state}: an uncaught exception ends it`, async () => {
      const { child, ended } = start(state, "throw");
      const end = await inTime(ended, child);
      assert.equal(end.code, 1, end.stderr);
      assert.match(end.stderr, /uncaught on purpose/);
    });

    it(`${state}: SIGTERM ends it`, async () => {
      const { child, ended, ready } = start(state, "natural");
      await ready;
      if (child.exitCode === null) child.kill("SIGTERM");
      const end = await inTime(ended, child);
      assert.ok(end.signal === "SIGTERM" || end.code === 0, JSON.stringify(end));
    });
  }

  for (const state of ["opened", "held", "watching", "opening", "busy", "closing", "closed", "starting", "acquiring"]) {
    it(`${state}: with nothing left to wait for it ends by itself`, async () => {
      const { child, ended } = start(state, "natural");
      assert.deepEqual(await inTime(ended, child), { code: 0, signal: null, stderr: "" });
    });
  }

  for (const state of ["waiting", "converting", "listening", "stuck"]) {
    it(`${state}: what waits for the kernel keeps it alive`, async () => {
      const { child, ended, ready } = start(state, "natural");
      await ready;
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(child.exitCode, null);
      child.kill("SIGKILL");
      await ended;
    });
  }
});
