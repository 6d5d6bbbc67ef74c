import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const PROGRAM = path.join(__dirname, "programs/session.mjs");

interface End {
  readonly status: number | null;
  readonly output: string;
  readonly last: string;
}

describe("a session of the test runner", function () {
  this.timeout(60_000);
  let tmp: string;

  beforeEach(() => {
    tmp = mkdtempSync(path.join(os.tmpdir(), "clusterlock-runner-"));
  });

  afterEach(() => {
    // tsx has a cache of its own there
    const left = readdirSync(tmp).filter((name) => name.startsWith("clusterlock"));
    rmSync(tmp, { recursive: true });
    assert.deepEqual(left, []);
  });

  function start(argv: string[], env: NodeJS.ProcessEnv = {}) {
    const child = spawn(argv[0]!, argv.slice(1), {
      env: { ...process.env, TMPDIR: tmp, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        child.emit("said", output);
      });
    }
    const end = once(child, "close").then(([status]: unknown[]): End => {
      const last = output.trimEnd().split("\n").at(-1) ?? "";
      return { status: status as number | null, output, last };
    });
    return { child, end };
  }

  const session = (spec: string, { limit = 20_000, leakLimit = 10_000, env = {} } = {}) =>
    start([process.execPath, PROGRAM, spec, String(limit), String(leakLimit)], env);

  async function verdict(spec: string, last: string, options = {}): Promise<string> {
    const end = await session(spec, options).end;
    assert.equal(end.last, last, end.output);
    assert.equal(end.status, last.endsWith(" 0 failed") ? 0 : 1, end.output);
    return end.output;
  }

  it("adds up what passed and what failed", async () => {
    await verdict("passes.cjs", "2 passed, 0 failed");
    await verdict("fails.cjs", "1 passed, 1 failed");
  });

  it("tells a failure at once and whole, and all once more at the end, also of a run that did not end", async () => {
    const output = await verdict("fails-and-hangs.cjs", "0 passed, 2 failed", { limit: 5_000 });
    assert.match(output, /on purpose\n.*fails-and-hangs\.cjs:4:/);
    const recap = "FAILED: fixture: a group fails: on purpose\nFAILED: fixture: it did not end within 5 s\n";
    assert.ok(output.endsWith(`\n\n${recap}0 passed, 2 failed\n`), output);
  });

  it("tells a line of each group of tests", async () => {
    assert.match(await verdict("groups.cjs", "3 passed, 0 failed"), /\n {2}one: 2 passed \(.* s\)\n {2}two: 1 passed/);
  });

  it("adds up runs side by side, shows what each has printed, and gives each its limit", async () => {
    const output = await verdict("passes.cjs,fails.cjs", "3 passed, 1 failed");
    assert.match(output, /steered by/);
    assert.match(
      output,
      /on purpose\n.*fails\.cjs:4[^]*\n\nFAILED: fixture: fails\.cjs: fails: on purpose\n3 passed, 1 failed\n$/,
    );
    const hung = await verdict("passes.cjs,hangs.cjs", "2 passed, 1 failed", { limit: 5_000 });
    assert.match(hung, /FAILED: fixture: hangs\.cjs: it did not end within 5 s/);
  });

  it("does not let the caller's environment choose what is run", async () => {
    const env = { MOCHA_OPTIONS: "--grep nothing", NODE_OPTIONS: "--unhandled-rejections=none", NODE_PATH: "/absent" };
    const output = await verdict("passes.cjs", "2 passed, 0 failed", { env });
    assert.match(output, /steered by \n/);
  });

  it("fails a suite in which nothing ran", async () => {
    assert.match(await verdict("empty.cjs", "0 passed, 1 failed"), /FAILED: fixture: no test ran/);
    await verdict("absent.cjs", "0 passed, 1 failed");
  });

  it("fails on a rejection that nobody handles, in a test or after the last one", async () => {
    assert.match(await verdict("rejects.cjs", "0 passed, 1 failed"), /nobody cares/);
    assert.match(await verdict("rejects-late.cjs", "1 passed, 1 failed"), /though no test failed/);
  });

  it("fails a run that crashed", async () => {
    assert.match(await verdict("crashes.cjs", "0 passed, 1 failed"), /mocha ended with SIGKILL before it had counted/);
  });

  it("ends a run that leaked a handle, and names what is left", async () => {
    const output = await verdict("leaks.cjs", "1 passed, 1 failed", { leakLimit: 1000 });
    assert.match(output, /FAILED: fixture: it reported its end but did not exit within 1 s: it leaked a handle/);
    assert.match(output, /still alive after the last test: .*Timeout/);
  });

  it("ends a run at its limit", async () => {
    const output = await verdict("hangs.cjs", "0 passed, 1 failed", { limit: 2000 });
    assert.match(output, /FAILED: fixture: it did not end within 2 s/);
  });

  it("ends the processes that a run left behind, and fails it", async () => {
    const output = await verdict("orphans.cjs", "1 passed, 1 failed");
    assert.match(output, /FAILED: fixture: it left processes behind: sleep 61\.25/);
  });

  // Resolves to the processes that are alive once the suite waits.
  async function waiting(child: ChildProcess): Promise<number[]> {
    for (;;) {
      const [output] = (await once(child, "said")) as [string];
      const pids = /pids (\d+) (\d+)/.exec(output);
      if (pids) return pids.slice(1).map(Number);
    }
  }

  async function allGone(pids: number[]): Promise<void> {
    for (let tries = 0; pids.some((pid) => existsSync(`/proc/${pid}`)); tries++) {
      assert.ok(tries < 100, `still there: ${pids.join(", ")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  for (const [signal, status] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const) {
    it(`${signal} ends all that runs, deaf processes too, and is the exit status`, async () => {
      const { child, end } = session("waits.cjs");
      const pids = await waiting(child);
      child.kill(signal);
      // a second one, as npm and a terminal send it, changes nothing
      setTimeout(() => child.kill(signal), 100);
      const { status: got, output, last } = await end;
      assert.deepEqual([got, last], [status, "0 passed, 1 failed"], output);
      assert.match(output, new RegExp(`interrupted by ${signal}`));
      await allGone(pids);
    });
  }

  it("SIGKILL leaves no suite running", async () => {
    const { child, end } = session("waits.cjs");
    const [mocha, deaf] = await waiting(child);
    child.kill("SIGKILL");
    await end.finally(() => process.kill(deaf!, "SIGKILL"));
    await allGone([mocha!]);
  });

  for (const [signal, how] of [
    ["SIGTERM", "passes on"],
    ["SIGHUP", "does not pass on"],
  ] as const) {
    it(`ends when npm gets a ${signal}, which it ${how}`, async () => {
      const home = path.join(tmp, "app");
      mkdirSync(home);
      const script = `"${process.execPath}" "${PROGRAM}" waits.cjs 30000 1000`;
      writeFileSync(path.join(home, "package.json"), JSON.stringify({ scripts: { test: script } }));
      const { child, end } = start(["npm", "--prefix", home, "test"]);
      const pids = await waiting(child);
      child.kill(signal);
      const { last } = await end;
      assert.equal(last, "0 passed, 1 failed");
      await allGone(pids);
    });
  }

  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    it(`mocha by itself ends when npx, which started it, gets a ${signal}`, async () => {
      const { child, end } = start(["npx", "mocha", path.join(__dirname, "specs/waits.cjs")]);
      const [mocha, deaf] = await waiting(child);
      child.kill(signal);
      await allGone([mocha!]).finally(() => process.kill(deaf!, "SIGKILL"));
      await end;
    });
  }
});
