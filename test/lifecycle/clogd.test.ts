// The daemon as a process, over a server without a kernel: its signals, its files, its words, and what it tells others.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";

import type { DaemonStatus } from "../../lib/clog/daemon/status";
import { queryStatus } from "../../lib/clog/daemon/status-socket";
import { stopDaemon } from "../../lib/clog/daemon/stop";
import { DOUBLE_PATH } from "../native/double";

const PROGRAM = path.join(__dirname, "programs/clogd.ts");
const ROOT = path.resolve(__dirname, "../..");

// F_GETLK, as LVM asks: prints the type of the lock in the way
const GETLK = `
import fcntl, struct, sys
f = open(sys.argv[1])
flock = fcntl.fcntl(f, 5, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print(struct.unpack("hhqqi4x", flock)[0] == fcntl.F_UNLCK and "free" or "locked")
`;

// Prints what a service is told, a line each.
const NOTIFIED = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\\0", 1))
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", " "), flush=True)
`;

describe("the daemon clogd", function () {
  this.timeout(60_000);
  let directory: string;
  let pidfile: string;
  const started: ChildProcess[] = [];
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), "clogd-"));
    pidfile = path.join(directory, "clogd.pid");
  });
  afterEach(() => {
    for (const child of started.splice(0)) child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  });

  interface Start {
    env?: NodeJS.ProcessEnv;
    stderr?: "pipe" | number;
    options?: object;
  }

  function start({ env = {}, stderr = "pipe", options = {} }: Start = {}): ChildProcess {
    const argv = ["--import", "tsx", PROGRAM, DOUBLE_PATH, JSON.stringify({ directory, pidfile, ...options })];
    const child = spawn(process.execPath, argv, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", stderr, "ipc"],
    });
    started.push(child);
    return child;
  }

  async function serving(child: ChildProcess): Promise<DaemonStatus> {
    const end = Date.now() + 30_000;
    for (;;) {
      try {
        const status = await queryStatus(directory);
        if (status.pid === child.pid) return status;
      } catch (error) {
        if (Date.now() > end || child.exitCode !== null) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function ended(child: ChildProcess): Promise<[code: number | null, signal: string | null]> {
    if (child.exitCode !== null || child.signalCode !== null) return [child.exitCode, child.signalCode];
    return (await once(child, "exit")) as [number | null, string | null];
  }

  async function run(options: object): Promise<{ code: number | null; printed: string }> {
    const child = start({ options });
    const printed = text(child.stdout!);
    const [code] = await ended(child);
    return { code, printed: await printed };
  }

  const getlk = (): string => execFileSync("python3", ["-c", GETLK, pidfile], { encoding: "utf8" }).trim();

  it("serves until SIGTERM: pidfile locked as LVM asks for it, status, and no trace afterwards", async () => {
    const child = start();
    const said = text(child.stderr!);
    const status = await serving(child);
    assert.equal(status.state, "serving");
    assert.equal(status.logs[0]?.percent, 50);
    assert.equal(readFileSync(pidfile, "utf8"), `${child.pid}\n`);
    assert.equal(getlk(), "locked");
    assert.equal(statSync(pidfile).mode & 0o777, 0o644);
    assert.equal(execFileSync("readlink", [`/proc/${child.pid}/cwd`], { encoding: "utf8" }), "/\n");
    child.kill("SIGTERM");
    assert.deepEqual(await ended(child), [0, null]);
    assert.deepEqual(readdirSync(directory), []);
    assert.match(
      await said,
      /Z serving, 1 mirror, 0 in sync, 1 recovering \(50 %\)\n\S+ SIGTERM: stopping; logs that stay: 1\. /,
    );
  });

  it("is not stopped by SIGHUP, and is by SIGINT", async () => {
    const child = start();
    await serving(child);
    child.kill("SIGHUP");
    await new Promise((resolve) => setTimeout(resolve, 200));
    await serving(child);
    child.kill("SIGINT");
    assert.deepEqual(await ended(child), [0, null]);
  });

  it("is ended by stopDaemon()", async () => {
    const child = start();
    await serving(child);
    assert.deepEqual(await stopDaemon(directory), { pid: child.pid });
    assert.notEqual(await ended(child), undefined);
    await assert.rejects(stopDaemon(directory), { code: "ERR_CLOGD_ABSENT" });
  });

  it("ends at once at a second signal, and leaves its files to a successor, which takes them", async () => {
    const child = start();
    await serving(child);
    child.send("slow");
    child.kill("SIGTERM");
    const end = Date.now() + 10_000;
    while ((await queryStatus(directory)).state !== "stopping") assert.ok(Date.now() < end);
    child.kill("SIGTERM");
    assert.deepEqual(await ended(child), [null, "SIGKILL"]);
    assert.equal(existsSync(pidfile), true);
    assert.equal(getlk(), "free");
    const next = start();
    await serving(next);
    assert.equal(getlk(), "locked");
  });

  it("refuses to be the second", async () => {
    const child = start();
    await serving(child);
    const { code, printed } = await run({});
    assert.equal(code, 3);
    assert.match(printed, /ERR_CLOGD_RUNNING.*another daemon has .*clogd.pid: process \d+/);
    await serving(child);
    assert.equal(getlk(), "locked");
  });

  it("tells why it cannot begin, by what the system said, and leaves nothing", async () => {
    for (const [errno, code] of [
      [98, "ERR_CLOGD_RUNNING"],
      [1, "ERR_CLOGD_PERMISSION"],
      [93, "ERR_CLOGD_REFUSED"],
      [12, "ERR_CLOGD_SYSTEM"],
    ] as const) {
      const { printed } = await run({ refuse: errno });
      assert.match(printed, new RegExp(`${code}.*as the test wants it`));
      assert.deepEqual(readdirSync(directory), []);
    }
  });

  it("ends with 70 when something unexpected happens, and leaves all as it is", async () => {
    const child = start();
    const said = text(child.stderr!);
    await serving(child);
    child.send("throw");
    assert.deepEqual(await ended(child), [70, null]);
    assert.match(await said, /ends, as nobody expected this: Error: on purpose/);
    assert.equal(existsSync(pidfile), true);
    assert.equal(getlk(), "free");
  });

  it("ends when the server has lost its socket, so that it is started again", async () => {
    const child = start();
    const printed = text(child.stdout!);
    await serving(child);
    child.send("lose");
    assert.deepEqual(await ended(child), [3, null]);
    assert.match(await printed, /ERR_CLOGD_SYSTEM.*the connector's socket has failed: EBADF/);
    assert.deepEqual(readdirSync(directory), []);
  });

  it("tells systemd", async () => {
    for (const name of [path.join(directory, "notify"), `@clogd-test-${process.pid}`]) {
      const manager = spawn("python3", ["-c", NOTIFIED, name], { stdio: ["ignore", "pipe", "inherit"] });
      started.push(manager);
      const heard = text(manager.stdout);
      await once(manager.stdout, "readable");
      const child = start({ env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "200000" } });
      await serving(child);
      const environment = readFileSync(`/proc/${child.pid}/environ`, "utf8");
      assert.match(environment, /NOTIFY_SOCKET/, "of the start, which does not change");
      await new Promise((resolve) => setTimeout(resolve, 500));
      child.kill("SIGTERM");
      assert.deepEqual(await ended(child), [0, null]);
      manager.kill();
      const [bound, ready, ...rest] = (await heard).trimEnd().split("\n");
      assert.equal(bound, "bound");
      assert.match(ready!, /^READY=1 STATUS=1 mirror, 0 in sync, 1 recovering \(50 %\)$/);
      assert.equal(rest.at(-1), "STOPPING=1");
      assert.ok(rest.filter((line) => line === "WATCHDOG=1").length >= 2, rest.join());
      rmSync(name, { force: true });
    }
  });

  it("goes on when nobody reads its words: a full pipe, a closed one, a full disk", async () => {
    const full = openSync("/dev/full", "w");
    for (const stderr of ["pipe", "closed", full] as const) {
      const child = start({ stderr: stderr === "closed" ? "pipe" : stderr });
      if (stderr === "closed") child.stderr!.destroy();
      await serving(child);
      child.send("flood");
      await new Promise((resolve) => setTimeout(resolve, 500));
      const { linesDropped } = await serving(child);
      assert.ok(linesDropped > 0, String(stderr));
      child.kill("SIGTERM");
      assert.deepEqual(await ended(child), [0, null], String(stderr));
      rmSync(directory, { recursive: true });
      directory = mkdtempSync(path.join(tmpdir(), "clogd-"));
      pidfile = path.join(directory, "clogd.pid");
    }
    closeSync(full);
  });
});
