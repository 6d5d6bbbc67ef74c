import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";

import { DOUBLE_PATH, until } from "./double";
import { Bench, Client, fdsOf, isThere, sleep } from "./opener-client";

const { EMFILE, ENOENT } = os.constants.errno;
const { O_RDONLY } = fs.constants;

describe("the opener's process", function () {
  this.timeout(30_000);
  const bench = Bench.on();

  it("refuses to be started by hand", () => {
    assert.throws(() => execFileSync(bench.executable, { stdio: "pipe" }), { status: 64 });
  });

  it("says so when there is no such program, or it is none", async () => {
    const started = (file: string): Promise<unknown> => Client.start(bench.addon, file, "process");
    await assert.rejects(started(bench.at("absent")), { errno: -ENOENT, syscall: "posix_spawn" });
    fs.writeFileSync(bench.at("text"), "no program\n", { mode: 0o755 });
    await assert.rejects(started(bench.at("text")), { syscall: "posix_spawn" });
    // one that ends without a word
    await assert.rejects(started("/bin/true"), { syscall: "recvmsg" });
  });

  it("is nobody's child, and has nothing of ours: neither output, directory, session nor descriptors", async () => {
    const inherited = fs.openSync(bench.at("kept"), "w"); // Node marks it close-on-exec, and not all do
    const { native } = await bench.start();
    fs.closeSync(inherited);
    const stat = fs.readFileSync(`/proc/${native.pid}/stat`, "utf8");
    const [, parent, group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    assert.notEqual(Number(parent), process.pid);
    assert.equal(group, session);
    assert.notEqual(session, fs.readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ")[3]);
    assert.equal(fs.readlinkSync(`/proc/${native.pid}/cwd`), "/");
    const open = fdsOf(native.pid).map((fd) => fs.readlinkSync(`/proc/${native.pid}/fd/${fd}`).replace(/\d+/, "N"));
    const null_ = "/dev/null";
    assert.deepEqual(open, [null_, null_, null_, "socket:[N]", "pipe:[N]", "pipe:[N]"]);
    assert.equal(fs.readFileSync(`/proc/${native.pid}/environ`, "utf8"), "");
    const limits = /Max open files +(\S+) +(\S+)/.exec(fs.readFileSync(`/proc/${native.pid}/limits`, "utf8"))!;
    assert.equal(limits[1], limits[2]);
    assert.equal(fs.readFileSync(`/proc/${native.pid}/cmdline`, "utf8"), `clusterlock_opener\0${process.pid}\0`);
  });

  it("outlives SIGTERM, SIGINT and SIGHUP, which are not for it", async () => {
    const client = await bench.start();
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.kill(client.native.pid, signal);
    assert.equal((await client.ask({ op: "stat", path: bench.place })).errno, 0);
  });

  it("ends with its socket, whatever it is asleep in", async () => {
    const client = await bench.start();
    void client.ask({ op: "acquire", path: bench.fifo("lock"), flags: O_RDONLY });
    await until("it is about to open", () => client.phases.size === 1);
    client.native.close();
    await until("it has ended", () => !isThere(client.native.pid));
    assert.equal(client.ends, 0);
  });

  it("finishes what it began before it ends, and leaves a domain that nobody was told of", async () => {
    const client = await bench.start();
    fs.mkdirSync(bench.at("old"));
    fs.writeFileSync(bench.at("file"), "");
    process.kill(client.native.pid, "SIGSTOP");
    void client.ask({ op: "mkdir", path: bench.at("new") });
    void client.ask({ op: "rmdir", path: bench.at("old") });
    void client.ask({ op: "unlink", path: bench.at("file") });
    client.native.close();
    process.kill(client.native.pid, "SIGCONT");
    await until("it has ended", () => !isThere(client.native.pid));
    assert.deepEqual(fs.readdirSync(bench.place), []);
  });

  it("tells its end when it is killed, once, after all that it has said before", async () => {
    const client = await bench.start();
    void client.ask({ op: "acquire", path: bench.fifo("lock"), flags: O_RDONLY });
    await until("it is about to open", () => client.phases.size === 1);
    const answers = Array.from({ length: 600 }, () => client.ask({ op: "stat", path: bench.place }));
    await answers[0];
    process.kill(client.native.pid, "SIGKILL");
    await until("its end is told", () => client.ends === 1);
    assert.ok(client.unanswered >= 1);
    assert.throws(() => {
      client.native.request(1, { op: "status", path: "" });
    }, /closed/);
    client.native.close();
    await sleep(20);
    assert.equal(client.ends, 1);
  });

  it("says EMFILE when its owner has no room for another descriptor", () => {
    const script = `
      const fs = require("node:fs");
      const [path, executable] = process.argv.slice(1);
      const taken = [];
      const open = (id) => opener.request(id, { op: "acquire", path: "/dev/null", flags: 0 });
      require(path).startOpener(executable, "process", (failure, started) => {
        opener = started;
        opener.setRef(true);
        try { for (;;) taken.push(fs.openSync("/dev/null")); } catch {}
        open(1);
      }, (events) => {
        for (const { id, kind, errno, syscall, file } of events) {
          if (kind === "phase") continue;
          console.log(id, errno, syscall, file !== undefined);
          if (id === 2) process.exit();
          for (const fd of taken) fs.closeSync(fd);
          open(2);
        }
      }, () => process.exit(9));`;
    const argv = ["-c", 'ulimit -n 64; exec "$0" "$@"', process.execPath, "-e", script, DOUBLE_PATH, bench.executable];
    const said = execFileSync("sh", argv, { encoding: "utf8", timeout: 10_000 });
    assert.equal(said, `1 ${-EMFILE} recvmsg false\n2 0  true\n`);
  });
});
