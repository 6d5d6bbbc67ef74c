import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { DOUBLE_PATH, loadDouble } from "./double";

const { EAGAIN, EBADF, ECONNREFUSED, EINVAL, ENOENT } = os.constants.errno;

/** Runs a program with the addon as `addon`; returns what it printed. */
function run(program: string, ...args: string[]): string {
  const source = `const addon = require(${JSON.stringify(DOUBLE_PATH)});\n${program}`;
  return execFileSync(process.execPath, ["-e", source, ...args], { encoding: "utf8", timeout: 20_000 });
}

describe("lockFile", () => {
  const { addon } = loadDouble();
  let place: string;
  before(() => {
    place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-lock-"));
  });
  after(() => {
    rmSync(place, { recursive: true });
  });

  it("is exclusive between opens of a file, and ends with the descriptor", () => {
    const file = path.join(place, "pid");
    const one = openSync(file, "w+");
    const two = openSync(file, "w+");
    assert.equal(addon.lockFile(one), 0);
    assert.equal(addon.lockFile(one), 0);
    assert.equal(addon.lockFile(two), -EAGAIN);
    const other = `const fd = require("node:fs").openSync(process.argv[1], "r+"); console.log(addon.lockFile(fd))`;
    assert.equal(run(other, file), `${-EAGAIN}\n`);
    closeSync(one);
    assert.equal(addon.lockFile(two), 0);
    closeSync(two);
    assert.equal(run(other, file), "0\n");
    assert.equal(addon.lockFile(-1), -EBADF);
  });
});

describe("sendDatagram", () => {
  const { addon } = loadDouble();

  it("refuses what is no socket's address", () => {
    for (const bad of ["", "/", "@", "relative/path", "/nul\0l", "@nul\0l", `/${"x".repeat(108)}`]) {
      assert.equal(addon.sendDatagram(bad, "text"), -EINVAL, bad);
    }
    assert.equal(addon.sendDatagram("/nowhere/at/all", "text"), -ENOENT);
    assert.equal(addon.sendDatagram(`@nobody-${process.pid}`, "text"), -ECONNREFUSED);
  });

  it("reaches sockets of both kinds, and never waits for a reader", () => {
    // Node has no datagram sockets of this family
    const receiver = `
import os, socket, subprocess, sys
for kind in "file", "abstract":
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = sys.argv[1] + "/socket" if kind == "file" else "@clusterlock-test-%d" % os.getpid()
    s.bind(name if kind == "file" else "\\0" + name[1:])
    out = subprocess.run(sys.argv[2:] + [name], capture_output=True, text=True, check=True).stdout
    first = s.recv(65536).decode()
    print(kind, first, out.strip(), flush=True)
`;
    const source = `const addon = require(${JSON.stringify(DOUBLE_PATH)}); const to = process.argv[1];
      const first = addon.sendDatagram(to, "READY=1\\nSTATUS=ü");
      let last = 0;
      for (let i = 0; last === 0 && i < 100000; i++) last = addon.sendDatagram(to, "WATCHDOG=1");
      console.log(first, last);`;
    const place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-notify-"));
    try {
      const printed = execFileSync("python3", ["-c", receiver, place, process.execPath, "-e", source], {
        encoding: "utf8",
        timeout: 20_000,
      });
      assert.equal(printed, ["file", "abstract"].map((kind) => `${kind} READY=1\nSTATUS=ü 0 ${-EAGAIN}\n`).join(""));
    } finally {
      rmSync(place, { recursive: true });
    }
  });
});

describe("execute", () => {
  it("goes on as another program: same process, its own arguments, no descriptor of ours, no signal ignored", () => {
    const second = `const fs = require("node:fs");
      const status = fs.readFileSync("/proc/self/status", "latin1");
      const fds = fs.readdirSync("/proc/self/fd").map((fd) => {
        try { return fs.readlinkSync("/proc/self/fd/" + fd); } catch { return ""; }
      });
      console.log(JSON.stringify({ pid: process.pid, args: process.argv.slice(1), env: process.env, fds,
        blocked: /SigBlk:\\s*(\\w+)/.exec(status)[1] }));`;
    const first = `const fs = require("node:fs");
      const { Worker } = require("node:worker_threads");
      fs.openSync("/proc/self/maps", "r");
      addon.listDmDevices(() => undefined);
      new Worker("setInterval(() => {}, 1000)", { eval: true }).on("online", () => {
        console.log(process.pid);
        console.log(addon.execute(process.execPath, ["a name", "-e", ${JSON.stringify(second)}, "ü b", ""], ["A=1", "B=x=y"]));
      });`;
    const [pid, said] = run(first).trim().split("\n") as [string, string];
    const after = JSON.parse(said) as { pid: number; args: string[]; env: unknown; fds: string[]; blocked: string };
    assert.equal(after.pid, Number(pid));
    assert.deepEqual(after.args, ["ü b", ""]);
    assert.deepEqual(after.env, { A: "1", B: "x=y" });
    assert.equal(after.blocked, "0000000000000000");
    assert.ok(!after.fds.some((name) => name.endsWith("/maps")), after.fds.join(" "));

    const shell = `addon.execute("/bin/sh", ["sh", "-c", "grep SigIgn /proc/self/status"], ["PATH=/usr/bin:/bin"])`;
    assert.match(run(shell), /^SigIgn:\s+0{16}\n$/);
  });

  it("says why not, and the process goes on as it was", () => {
    const program = `const fs = require("node:fs");
      const state = () => fs.readFileSync("/proc/self/status", "latin1").match(/Sig(Blk|Ign):.*/g).join();
      const before = state();
      const seen = [addon.execute("/nowhere", ["x"], []), addon.execute("/bin/sh", ["a\\0b"], []),
        addon.execute("/bin/sh", ["a"], ["A=\\0"]), addon.execute("/bin\\0/sh", ["a"], [])];
      try { addon.execute("/bin/sh", [1], []); } catch (error) { seen.push(error.name); }
      console.log(JSON.stringify([...seen, before === state()]));`;
    assert.deepEqual(JSON.parse(run(program)), [-ENOENT, -EINVAL, -EINVAL, -EINVAL, "TypeError", true]);
  });
});

describe("lockMemory and setIoFlusher", () => {
  it("take effect where the rights are, and else say so", () => {
    const program = `const fs = require("node:fs");
      const field = (name) => Number(new RegExp(name + ":\\\\s*(\\\\d+)").exec(fs.readFileSync("/proc/self/status", "latin1"))[1]);
      const flags = () => Number(fs.readFileSync("/proc/self/stat", "latin1").replace(/.*\\) /, "").split(" ")[6]);
      console.log(JSON.stringify({ memory: addon.lockMemory(), locked: field("VmLck"), rss: field("VmRSS"),
        flusher: addon.setIoFlusher(), flags: flags() & 0x180000 }));`;
    const { memory, locked, rss, flusher, flags } = JSON.parse(run(program)) as Record<string, number>;
    const { ENOMEM, EPERM } = os.constants.errno;
    // Node's own text is the most of it
    if (memory === 0) assert.ok(locked! >= rss! / 2, `${locked} kB of ${rss} kB`);
    else assert.deepEqual([memory === -ENOMEM || memory === -EPERM, locked], [true, 0]);
    if (flusher === 0) assert.equal(flags, 0x180000);
    else assert.deepEqual([flusher, flags], [-EPERM, 0]);
  });

  // V8 gives memory back by MADV_DONTNEED and aborts when the kernel refuses it, as it does for locked memory.
  it("V8 goes on giving its memory back: in collections, in workers, and at the end", function () {
    this.timeout(60_000);
    const program = `const { Worker } = require("node:worker_threads");
      const load = \`for (let round = 0; round < 5; round++) {
        const all = [];
        for (let i = 0; i < 2e4; i++) all.push(new Function("a", "return a + " + i % 1000), { i });
        gc();
      }\`;
      console.log(addon.lockMemory());
      (0, eval)(load);
      new Worker(load, { eval: true }).on("exit", (code) => {
        console.log(code, require("node:child_process").execFileSync("echo", ["child"], { encoding: "utf8" }));
      });`;
    const source = `const addon = require(${JSON.stringify(DOUBLE_PATH)});\n${program}`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ["--expose-gc", "-e", source], {
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^(0|-\d+)\n0 child\n/);
  });
});

describe("listDmDevices", () => {
  const { addon } = loadDouble();

  it("ends in its callback, and keeps the process alive until then", () => {
    const program = `addon.listDmDevices((failure, devices) => console.log(failure ? typeof failure.errno : Array.isArray(devices)))`;
    assert.match(run(program), /^(number|true)\n$/);
    assert.throws(() => {
      addon.listDmDevices(undefined as never);
    }, TypeError);
  });
});
