// What the cluster log needs of the system, on real block devices and a real device-mapper.

import assert from "node:assert/strict";
import { constants } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";

import type { Cluster } from "../../lib/lab";
import type { NativeDmDevice } from "../../lib/native";

import { openCluster } from "./support/cluster";
import { kernelComplaints } from "./support/kernel-log";

const PROGRAMS = path.join(__dirname, "programs");
const MIB = 2 ** 20;

describe("cluster log: block devices and device-mapper", function () {
  this.timeout(120_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await openCluster({ nodes: 1, stack: "none", disks: ["64M", "64M"], cpus: 2 });
    await sh("modprobe -a dm-mod dm-mirror loop; udevadm settle");
  });
  after(async () => {
    const complaints = await kernelComplaints(cluster, 1);
    await cluster.down();
    assert.deepEqual(complaints, []);
  });
  afterEach(async () => {
    await sh("dmsetup remove_all --force; losetup --detach-all; dmsetup ls | grep -q 'No devices'");
  });

  async function run(...argv: string[]): Promise<string> {
    const child = cluster.exec(1, argv);
    child.stdin.end();
    const [printed, complaint, { code }] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
    assert.equal(code, 0, complaint);
    return printed.trim();
  }
  const sh = (script: string): Promise<string> => run("sh", "-ec", script);

  /** Runs the body of an async function that has clog-system.cjs's exports; what it says is the result. */
  async function node<T>(body: string): Promise<T> {
    const names = "{ addon, fs, open, did, list, sh, sleep, flushes, flusherFlags, say }";
    const program = `const ${names} = require(${JSON.stringify(path.join(PROGRAMS, "clog-system.cjs"))});
      (async () => { ${body} })().catch((error) => { console.error(error); process.exit(1); });`;
    return JSON.parse(await run(process.execPath, "-e", program)) as T;
  }

  it("a device has its size, its number and its block size, and reads back by O_DIRECT what was written", async () => {
    const seen = await node(`
      const device = await open("/dev/vda", true);
      const { size, major, minor, logicalBlockSize } = device;
      const data = Buffer.alloc(8192, "w");
      const written = await did(device, "write", 4096, data);
      const [, back] = await did(device, "read", 0, 16384);
      const end = await did(device, "read", size - 4096, 65536);
      say({ size, number: major + ":" + minor, is: fs.readFileSync("/sys/block/vda/dev", "latin1").trim(), logicalBlockSize, written,
        back: back.subarray(4096, 12288).equals(data), zeros: back.subarray(12288).every((byte) => byte === 0),
        end: [end[0], end[1].length],
        beyond: [await did(device, "write", size, data), (await did(device, "read", size, 512))[1].length],
        odd: [await did(device, "write", 1, data), await did(device, "read", 0, 100)] });`);
    assert.deepEqual(seen, {
      size: 64 * MIB,
      number: "254:0",
      is: "254:0",
      logicalBlockSize: 512,
      written: [0],
      back: true,
      zeros: true,
      end: [0, 4096],
      beyond: [[-28], 0],
      odd: [[-22], [-22, null]],
    });
  });

  it("a write is one flush of the device's cache, through any stack", async () => {
    const seen = await node(`
      sh("echo 0 8192 linear /dev/vda 0 | dmsetup create lin; dmsetup mknodes");
      const counts = {};
      for (const path of ["/dev/vda", "/dev/mapper/lin"]) {
        for (const direct of [true, false]) {
          const device = await open(path, true, direct);
          const before = flushes("vda");
          for (let i = 0; i < 5; i++) await did(device, "write", i * 4096, Buffer.alloc(4096));
          counts[path + " " + direct] = flushes("vda") - before;
          await new Promise((resolve) => device.close(resolve));
        }
      }
      say(counts);`);
    assert.deepEqual(seen, {
      "/dev/vda true": 5,
      "/dev/vda false": 5,
      "/dev/mapper/lin true": 5,
      "/dev/mapper/lin false": 5,
    });
  });

  it("flush() of a device that was opened for reading flushes its cache: disk, loop, linear, leg of a mirror", async () => {
    const seen = await node(`
      const loop = sh("losetup --find --show /dev/vdb");
      sh("echo 0 8192 linear /dev/vda 0 | dmsetup create lin");
      sh("echo 0 8192 linear " + loop + " 0 | dmsetup create linloop; dmsetup mknodes");
      const counts = {};
      const count = async (what, path) => {
        const device = await open(path);
        const before = [flushes("vda"), flushes("vdb")];
        for (let i = 0; i < 3; i++) if ((await did(device, "flush"))[0] !== 0) throw new Error(what);
        counts[what] = [flushes("vda") - before[0], flushes("vdb") - before[1]];
        await new Promise((resolve) => device.close(resolve));
      };
      await count("disk", "/dev/vda");
      await count("loop", loop);
      await count("linear", "/dev/mapper/lin");
      await count("linear over loop", "/dev/mapper/linloop");
      sh("echo 0 8192 mirror core 2 1024 nosync 2 /dev/mapper/lin 0 /dev/mapper/linloop 0 1 handle_errors | dmsetup create mir");
      sh("dmsetup mknodes");
      await count("leg 1", "/dev/mapper/lin");
      await count("leg 2", "/dev/mapper/linloop");
      await count("mirror", "/dev/mapper/mir");
      sh("dmsetup remove mir; echo 0 8192 mirror core 2 1024 nosync 2 /dev/vda 8192 /dev/vdb 8192 | dmsetup create mir");
      await count("disk as leg", "/dev/vda");
      say(counts);`);
    assert.deepEqual(seen, {
      disk: [3, 0],
      loop: [0, 3],
      linear: [3, 0],
      "linear over loop": [0, 3],
      "leg 1": [3, 0],
      "leg 2": [0, 3],
      mirror: [3, 3],
      "disk as leg": [3, 0],
    });
  });

  // A thread in state D cannot be killed, and a process is not over for its parent before its last thread is. What the
  // process had open is closed all the same, since that thread has a table of descriptors of its own.
  for (const how of ["exit", "SIGKILL"] as const) {
    it(`a write hangs on a suspended device, and nothing of the process's stays with it after ${how}`, async () => {
      await sh("echo 0 8192 linear /dev/vda 0 | dmsetup create lin; dmsetup mknodes; dmsetup suspend lin");
      const argv = [process.execPath, path.join(PROGRAMS, "clog-hang.cjs"), "/dev/mapper/lin", "/tmp/hang.lock"];
      const pidFile = "/tmp/hang.pid";
      const first = cluster.exec(1, [
        "sh",
        "-c",
        `echo $$ >${pidFile}; exec "$@"`,
        "sh",
        ...argv,
        how === "exit" ? "exit" : "stay",
      ]);
      const ended = first.exit.then(() => "ended");
      await new Promise((resolve) => first.stdout.once("data", resolve));
      if (how === "SIGKILL") await sh(`kill -KILL $(cat ${pidFile})`);
      const states = await sh(
        `pid=$(cat ${pidFile}); for i in 1 2 3 4 5 6 7 8 9 10; do set -- /proc/$pid/task/*; [ $# = 2 ] && break; sleep 0.3; done
         for task; do echo $(sed -n 's/^State:\\t\\(.\\).*/\\1/p' $task/status) $(cat $task/comm) $(ls $task/fd | wc -l); done`,
      );
      // the zombie's table is gone; the thread's has the device and the bell of its mailbox
      assert.match(states, /^Z \S+ 0\nD clog-device 2$/);
      // but for the lock of its write, for which the next one waits
      const lock = `say(addon.lockFile(fs.openSync("/dev/mapper/lin", "r+")))`;
      assert.equal(await node(lock), -constants.errno.EAGAIN);
      // A successor takes the lock and the socket's name while the first is still there, and can be told to end.
      const second = cluster.exec(1, [...argv, "worker"]);
      assert.equal(
        await new Promise((resolve) =>
          second.stdout.once("data", (chunk: Buffer) => {
            resolve(chunk.toString());
          }),
        ),
        '"hangs"\n',
      );
      assert.equal(
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 500, "not yet"))]),
        "not yet",
      );
      await sh("dmsetup resume lin");
      assert.equal(await ended, "ended");
      second.stdin.end("end\n");
      assert.equal((await second.exit).code, 0);
      assert.equal(await node(lock), 0);
    });
  }

  describe("listDmDevices", () => {
    it("tells the tables, in use and loaded, of suspended devices and mirrors, and odd names as they are", async () => {
      const seen = await node<NativeDmDevice[]>(`
        const create = (name, table, ...more) => require("node:child_process").execFileSync("dmsetup",
          ["--manglename", "none", "create", name, ...more], { input: table });
        create("a b:c", "0 8 linear /dev/vda 0\\n8 16 zero", "--uuid", "U-1/2 3");
        create("mirror", "0 8192 mirror core 2 1024 nosync 2 /dev/vda 0 /dev/vdb 0 1 handle_errors");
        create("suspended", "0 8 linear /dev/vda 0");
        sh("echo 0 16 linear /dev/vdb 8 | dmsetup load suspended; dmsetup suspend suspended");
        sh("dmsetup create --notable empty; echo 0 8 zero | dmsetup load empty");
        const devices = await list();
        for (const { name, major, minor } of devices) {
          const is = sh("dmsetup --manglename none info --noheadings -c -o major,minor --separator : -j " + major + " -m " + minor);
          if (is !== major + ":" + minor) throw new Error(name + " " + is);
        }
        say(devices.map(({ major, minor, ...device }) => device).sort((a, b) => (a.name < b.name ? -1 : 1)));`);
      const linear = { start: 0, length: 8, type: "linear", params: "254:0 0" };
      assert.deepEqual(seen, [
        {
          name: "a b:c",
          uuid: "U-1/2 3",
          suspended: false,
          active: [linear, { start: 8, length: 16, type: "zero", params: "" }],
          inactive: [],
        },
        {
          name: "empty",
          uuid: "",
          suspended: false,
          active: [],
          inactive: [{ start: 0, length: 8, type: "zero", params: "" }],
        },
        {
          name: "mirror",
          uuid: "",
          suspended: false,
          active: [
            {
              start: 0,
              length: 8192,
              type: "mirror",
              params: "core 2 1024 nosync 2 254:0 0 254:16 0 1 handle_errors",
            },
          ],
          inactive: [],
        },
        {
          name: "suspended",
          uuid: "",
          suspended: true,
          active: [linear],
          inactive: [{ start: 0, length: 16, type: "linear", params: "254:16 8" }],
        },
      ]);
    });

    it("finds none where there is none, and all of 200, with a table of 2000 targets", async () => {
      const seen = await node(`
        const none = await list();
        const { execFileSync } = require("node:child_process");
        const name = (i) => "device-" + String(i).padStart(100, "0");
        const concise = Array.from({ length: 199 }, (_, i) => name(i) + ",,,rw,0 8 zero").join(";");
        execFileSync("dmsetup", ["create", "--noudevsync", "--noudevrules", "--concise", concise]);
        const table = Array.from({ length: 2000 }, (_, i) => i * 8 + " 8 linear /dev/vda " + i * 8).join("\\n");
        execFileSync("dmsetup", ["create", "--noudevsync", "--noudevrules", "long"], { input: table });
        const all = await list();
        const long = all.find((device) => device.name === "long");
        say([none, all.length, new Set(all.map((device) => device.name)).size, long.active.length, long.active[1999]]);`);
      assert.deepEqual(seen, [[], 200, 200, 2000, { start: 15992, length: 8, type: "linear", params: "254:0 15992" }]);
    });
  });

  it("the IO flusher's flags are those of every thread of what is executed", async () => {
    const seen = await node<{ before: number[]; after: number[]; child: number }>(`
      if (process.env.AGAIN) {
        const worker = new (require("node:worker_threads").Worker)("setInterval(() => {}, 1000)", { eval: true });
        await new Promise((resolve) => worker.once("online", resolve));
        await open("/dev/vda");
        const after = fs.readdirSync("/proc/self/task").map(flusherFlags);
        const child = Number(sh("sed 's/.*) //' /proc/self/stat | cut -d ' ' -f 7")) & 0x180000;
        say({ before: JSON.parse(process.env.AGAIN), after, child });
        process.exit();
      }
      const result = [addon.setIoFlusher()];
      const before = [...result, flusherFlags(process.pid)];
      const args = [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
      const environment = Object.entries({ ...process.env, AGAIN: JSON.stringify(before) }).map(([key, value]) => key + "=" + value);
      say(addon.execute(process.execPath, args, environment));`);
    assert.deepEqual(seen.before, [0, 0x180000]);
    assert.ok(seen.after.length > 5, String(seen.after.length));
    assert.deepEqual([...new Set(seen.after)], [0x180000]);
    assert.equal(seen.child, 0x180000);
  });

  it("locked memory holds Node's text, and Node runs on", async () => {
    const { locked, text: size } = await node<{ locked: number; text: number }>(`
      const field = (name) => Number(new RegExp(name + ":\\\\s*(\\\\d+)").exec(fs.readFileSync("/proc/self/status", "latin1"))[1]);
      if (addon.lockMemory() !== 0) throw new Error("lockMemory");
      const all = [];
      for (let i = 0; i < 1e5; i++) all.push({ i });
      await new Promise((resolve) => new (require("node:worker_threads").Worker)("0", { eval: true }).once("exit", resolve));
      say({ locked: field("VmLck"), text: field("VmExe") });`);
    assert.ok(locked > size, `${locked} kB of ${size} kB`);
  });
});
