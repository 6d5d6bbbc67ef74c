// `clusterlock clogd` as an administrator has it: under a service manager, beside LVM, with a mirror that lives on.

import assert from "node:assert/strict";
import path from "node:path";
import { text } from "node:stream/consumers";

import type { DaemonStatus } from "../../lib/clog/daemon/status";
import type { Cluster, NodeProcess } from "../../lib/lab";

import { openCluster } from "./support/cluster";

const MAIN = path.resolve(__dirname, "../../dist/cli/main.js");
const CLOGD = `node ${MAIN} clogd`;
const MIRROR =
  "0 16384 mirror userspace 4 clogd-test clustered-disk /dev/ram2 1024 2 /dev/ram0 0 /dev/ram1 0 1 handle_errors";

const GETLK = `
import fcntl, struct
f = open("/run/cmirrord.pid")
flock = fcntl.fcntl(f, 5, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("free" if struct.unpack("hhqqi4x", flock)[0] == fcntl.F_UNLCK else "locked")
`;

// Stands for systemd: what it is told, a line each.
const MANAGER = `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/notify")
while True:
    print(s.recv(4096).decode().replace("\\n", " "), flush=True)
`;

// Each thread's flags; include/linux/sched.h
const PF_MEMALLOC_NOIO = 0x80000;

describe("clusterlock clogd", function () {
  this.timeout(300_000);
  let cluster: Cluster;
  let daemons: NodeProcess[] = [];

  function begin(argv: readonly string[]): NodeProcess {
    const child = cluster.exec(1, argv);
    child.stdin.end();
    return child;
  }

  async function run(script: string): Promise<{ code: number | null; printed: string; complaint: string }> {
    const child = begin(["sh", "-c", script]);
    const [printed, complaint, { code }] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
    return { code, printed, complaint };
  }

  async function sh(script: string): Promise<string> {
    const { code, printed, complaint } = await run(`set -e; export DM_DISABLE_UDEV=1; ${script}`);
    assert.equal(code, 0, complaint);
    return printed.trim();
  }

  /** `shell`: what the daemon's command line stands in, as $DAEMON. */
  function start(options: string, shell = "exec $DAEMON"): { child: NodeProcess; said: Promise<string> } {
    const child = begin(["sh", "-c", shell.replace("$DAEMON", `${CLOGD} ${options}`)]);
    daemons.push(child);
    child.stdout.resume();
    return { child, said: text(child.stderr) };
  }

  async function status(): Promise<DaemonStatus> {
    return JSON.parse(await sh(`${CLOGD} status --json`)) as DaemonStatus;
  }

  async function serving(): Promise<DaemonStatus> {
    await sh("i=0; until [ -S /run/clusterlock/clogd/status.sock ]; do i=$((i + 1)); [ $i -lt 300 ]; sleep 0.2; done");
    return status();
  }

  before(async () => {
    cluster = await openCluster({ nodes: 1, stack: "none" });
    await sh("modprobe -a dm-mirror dm-log-userspace; modprobe brd rd_nr=3 rd_size=8192");
  });
  after(async () => cluster.down());
  afterEach(async () => {
    // a mirror can be removed while somebody serves it
    if ((await run("dmsetup info m")).code === 0) {
      if ((await run("[ -S /run/clusterlock/clogd/status.sock ]")).code !== 0) start("");
      await serving();
      await sh("dmsetup remove --retry m");
    }
    if ((await run("[ -S /run/clusterlock/clogd/status.sock ]")).code === 0) await sh(`${CLOGD} stop`);
    await Promise.all(daemons.map(({ exit }) => exit));
    daemons = [];
  });

  it("serves a mirror, protected in memory and in every thread, and tells everybody who asks", async () => {
    const manager = begin(["python3", "-c", MANAGER]);
    const heard = text(manager.stdout);
    await sh("until [ -S /run/notify ]; do sleep 0.1; done");
    const environment = "NOTIFY_SOCKET=/run/notify WATCHDOG_USEC=2000000";
    const { child, said } = start("--protect --pidfile /run/cmirrord.pid", `${environment} exec $DAEMON`);
    const { pid, protection } = await serving();
    assert.deepEqual(protection, { lockMemory: true, ioFlusher: true, oomScoreAdj: -1000 });

    await sh(`dmsetup create m --table "${MIRROR}"`);
    await sh("i=0; until dmsetup status m | grep -q 16/16; do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.1; done");
    const facts = await sh(`cat /proc/${pid}/oom_score_adj; grep VmLck /proc/${pid}/status`);
    assert.match(facts, /^-1000\nVmLck:\s+[1-9]\d{4,} kB$/);
    const threads = (await sh(`cat /proc/${pid}/task/*/stat`)).split("\n");
    assert.ok(threads.length > 5);
    for (const thread of threads) {
      const flags = Number(thread.slice(thread.lastIndexOf(")") + 2).split(" ")[6]);
      assert.notEqual(flags & PF_MEMALLOC_NOIO, 0, thread);
    }
    assert.equal(await sh(`cat /run/cmirrord.pid; python3 -c '${GETLK}'`), `${pid}\nlocked`);

    const { logs, counts, requests } = await status();
    const [log] = logs;
    assert.equal(logs.length, 1);
    const devices = await sh("dmsetup status m; stat -c '%Hr:%Lr' /dev/ram0 /dev/ram1 /dev/ram2");
    const [line = "", ...numbers] = devices.split("\n");
    assert.match(line, new RegExp(`mirror 2 ${numbers[0]} ${numbers[1]} 16/16 1 AA 3 clustered-disk ${numbers[2]} A$`));
    assert.deepEqual(
      [log?.name, log?.state, log?.inSync, log?.regions, log?.percent, log?.health, log?.legs, log?.logDevice],
      ["m", "active", 16, 16, 100, "A", numbers.slice(0, 2), numbers[2]],
    );
    assert.ok(counts.fast > 0);
    assert.equal(requests["RESUME"]?.count, 1);

    assert.match(await sh(`${CLOGD} stop 2>&1`), /has ended$/);
    assert.deepEqual([(await child.exit).code, (await run("test -e /run/cmirrord.pid")).code], [0, 1]);
    assert.match(
      await said,
      /serving, no mirrors\n(.*\n)*.*its mirror runs.*\n(.*\n)*.*SIGTERM: stopping; logs that stay: 1\./,
    );
    await sh("pkill -f /run/[n]otify");
    await manager.exit;
    const lines = (await heard).trimEnd().split("\n");
    assert.match(lines[0] ?? "", /^READY=1 STATUS=no mirrors$/);
    assert.ok(lines.includes("STATUS=1 mirror, 1 in sync"), lines.join("\n"));
    assert.ok(lines.filter((told) => told === "WATCHDOG=1").length > 2);
    assert.equal(lines.at(-1), "STOPPING=1");
  });

  it("leaves a running mirror to its successor: what is written meanwhile waits, and nothing fails", async () => {
    start("");
    await serving();
    await sh(
      `dmsetup create m --table "${MIRROR.replace("1024 2", "1024 nosync 2").replace("userspace 4", "userspace 5")}"`,
    );
    await sh(`${CLOGD} stop`);
    const write = sh(
      "tr '\\0' x </dev/zero | dd of=/dev/mapper/m bs=4096 count=3 oflag=direct status=none; echo written",
    );
    let done = false;
    void write.then(() => (done = true));
    await sh("sleep 3");
    assert.equal(done, false);
    const { said } = start("");
    assert.equal(await write, "written");
    await sh("dmsetup suspend m; dmsetup resume m");
    assert.equal(await sh("cmp /dev/ram0 /dev/ram1 && echo equal"), "equal");
    const { logs, counts } = await serving();
    assert.equal(logs[0]?.percent, 100);
    assert.equal(counts.dropped, 0);
    await sh(`dmsetup remove m; ${CLOGD} stop`);
    assert.match(await said, /goes on where the daemon before this one ended/);
  });

  it("is alone: the second says who is first, and the first goes on", async () => {
    start("--pidfile /run/cmirrord.pid");
    const { pid } = await serving();
    for (const options of ["", "--pidfile /run/cmirrord.pid", "--directory /run/other"]) {
      const { code, complaint } = await run(`${CLOGD} ${options}`);
      assert.equal(code, 69, complaint);
      assert.match(complaint, new RegExp(`^clusterlock clogd: .*another daemon.* process ${pid}`));
    }
    assert.equal((await status()).pid, pid);
  });

  it("says what it lacks: rights, and the machine's network", async () => {
    const plain = await run(`setpriv --bounding-set -sys_admin --inh-caps -sys_admin ${CLOGD}`);
    assert.equal(plain.code, 77, plain.complaint);
    assert.match(plain.complaint, /^clusterlock clogd: (?:EPERM|EACCES): .*CAP_SYS_ADMIN/);
    const elsewhere = await run(`unshare -n ${CLOGD}`);
    assert.equal(elsewhere.code, 69, elsewhere.complaint);
    assert.match(elsewhere.complaint, /network namespace/);
  });

  it("goes on when nobody reads its words: a full pipe, a full disk", async () => {
    const full =
      "mkdir -p /run/full; mountpoint -q /run/full || mount -t tmpfs -o size=4k none /run/full; yes >/run/full/log || :";
    for (const shell of ["exec 2>/run/fifo; exec $DAEMON", `{ ${full}; } 2>/dev/null; exec $DAEMON 2>>/run/full/log`]) {
      await sh("[ -p /run/fifo ] || mkfifo /run/fifo");
      // full, and never read
      const reader = begin(["sh", "-c", "exec 3<>/run/fifo; exec yes >&3"]);
      await sh(
        `i=0; until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q /run/fifo; do i=$((i + 1)); [ $i -lt 50 ]; sleep 0.1; done`,
      );
      start("", shell);
      await serving();
      const table = MIRROR.replace(/userspace 4 .* 2 \/dev\/ram0/, "userspace 3 UUID clustered-core 1024 2 /dev/ram0");
      await sh(
        `i=0; while [ $i -lt 5 ]; do i=$((i + 1)); ` +
          `dmsetup create m --table "${table.replace("UUID", `$(head -c 100 /dev/zero | tr '\\0' x)$i`)}"; ` +
          `dmsetup remove --retry m; done`,
      );
      const { state, linesDropped } = await status();
      // a pipe may be read some day: these wait
      assert.deepEqual([state, linesDropped > 0], ["serving", shell.includes("/run/full")]);
      await sh(`${CLOGD} stop`);
      reader.kill("SIGKILL");
      await reader.exit;
    }
  });

  it("does not stand on the mirror that it serves", async () => {
    start("");
    await serving();
    await sh(
      `dmsetup create m --table "${MIRROR}"; mkfs.ext4 -q /dev/mapper/m; mkdir -p /run/m; mount /dev/mapper/m /run/m`,
    );
    await sh("mkdir /run/m/state; : >/run/m/log");
    for (const [options, what] of [
      ["--directory /run/m/state", "the directory /run/m/state"],
      ["--pidfile /run/m/state/clogd.pid", "the pidfile /run/m/state/clogd.pid"],
    ] as const) {
      const { code, complaint } = await run(`${CLOGD} ${options}`);
      assert.equal(code, 69, complaint);
      assert.match(complaint, new RegExp(`it would wait for itself: ${what} is on the mirror m,`));
    }
    assert.equal((await run(`${CLOGD} 2>>/run/m/log`)).code, 69);
    assert.match(await sh("cat /run/m/log"), /standard error is on the mirror m/);
    await sh("umount /run/m");
  });
});
