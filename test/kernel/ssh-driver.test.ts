// The ssh driver on real kernels: nodes of a QEMU lab with a real sshd. `npm run build` comes first.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { buffer, text } from "node:stream/consumers";

import type { Cluster, ExecOptions, ExitStatus } from "../../lib/lab";
import { connectSsh } from "../../lib/lab/ssh/connect";

import { SshLab } from "./support/ssh-lab";

const CONTROLLER = path.resolve(__dirname, "programs/ssh-controller.cjs");

interface Ended {
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(cluster: Cluster, node: number, argv: string[], options: ExecOptions & { input?: Buffer } = {}) {
  const { input, ...rest } = options;
  const child = cluster.exec(node, argv, rest);
  child.stdin.end(input);
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
  return { status, stdout, stderr } satisfies Ended;
}

async function until(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `waited ${seconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Milliseconds for a step: two emulated machines share what processors there are. */
const TIMEOUT = 200_000;
/** Writes long lines, and how many it has written. */
const FLOOD = `line=$(head -c 4000 /dev/zero | tr '\\0' x); i=0
  while :; do echo $line; i=$((i+1)); echo $i >/run/written; done`;
const CODE_0: ExitStatus = { code: 0, signal: null, lost: null };

describe("lab: the ssh driver", function () {
  this.timeout(180_000);
  let ssh: SshLab;
  let out: string;
  /** For the tests that need nothing special: to connect takes seconds here. */
  let shared: Cluster;
  let own: Cluster | undefined;

  before(async () => {
    ssh = await SshLab.boot(2);
    shared = await connectSsh(ssh.inventory(), {
      log: mkdtempSync(path.join(ssh.directory, "out-")),
      timeout: TIMEOUT,
    });
  });
  after(async () => {
    await shared.down();
    await ssh.down();
  });
  beforeEach(() => {
    out = mkdtempSync("/tmp/clt-");
  });
  afterEach(async () => {
    await own?.down();
    own = undefined;
    rmSync(out, { recursive: true, force: true });
  });

  async function connect(...given: Parameters<SshLab["inventory"]>): Promise<Cluster> {
    own = await connectSsh(ssh.inventory(...given), { log: out, timeout: TIMEOUT });
    return own;
  }

  /** What a driver that is gone has left on the nodes. */
  async function leftovers(): Promise<string> {
    const found = await Promise.all(
      ssh.lab.nodes.map((node) =>
        ssh.sh(
          node,
          `pgrep -af 'ssh/[a]gent|faults[.]sh|sleep 471[0-9]|clusterlock-[o]ut|ssh[d]:' | grep -v pgrep
           ls -d /var/tmp/clusterlock-out-* /run/clusterlock/ssh-* 2>/dev/null
           nft list tables
           tc qdisc show dev eth0 | grep -e prio -e netem
           :`,
        ),
      ),
    );
    return found.join("");
  }

  async function assertNothingLeft(): Promise<void> {
    let left = "";
    await until("the nodes to be clean", 15, async () => (left = await leftovers()) === "").catch(() => {
      assert.equal(left, "");
    });
  }

  /** Milliseconds of each ping from node 1 to node 2 that came back. */
  async function pings(count: number, interval = 0.1): Promise<number[]> {
    const stdout = await ssh.sh(1, `ping -n -c ${count} -i ${interval} -W 1 10.0.0.2 || [ $? = 1 ]`);
    return [...stdout.matchAll(/time=([\d.]+)/g)].map((match) => Number(match[1]));
  }

  describe("programs", () => {
    it("get their arguments, environment and directory as they are, and end with their own code", async () => {
      const on = shared;
      const words = ["", " a  b ", "it's", '"$HOME"', "`id`", "*", "\\n", "new\nline", "ümlaut", "-n", "!!", "~"];
      const show =
        "console.log(JSON.stringify([process.argv.slice(1), process.env.ODD, process.cwd()])); process.exit(7)";
      const options = { cwd: "/usr", env: { ODD: "a 'b' \"c\"\n$d" } };
      const { status, stdout } = await run(on, 2, [process.execPath, "-e", show, "--", ...words], options);
      assert.deepEqual(JSON.parse(stdout), [words, options.env.ODD, "/usr"]);
      assert.deepEqual(status, { code: 7, signal: null, lost: null });
      assert.equal(on.env(1).CLUSTERLOCK_NODE, "1");
      assert.match((await run(on, 2, ["env"])).stdout, /^CLUSTERLOCK_NODE=2$/m);
      assert.equal((await run(on, 1, ["hostname"])).stdout, "node1\n");
    });

    it("keep their streams apart and byte for byte, however much comes", async () => {
      const on = shared;
      const bytes = Buffer.alloc(1_000_001, 0);
      for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 7919) >> 3;
      const child = on.exec(1, ["sh", "-c", "echo to stderr >&2; exec cat"]);
      child.stdin.end(bytes);
      const [back, complaint, status] = await Promise.all([buffer(child.stdout), text(child.stderr), child.exit]);
      const digest = (data: Buffer): string => createHash("sha256").update(data).digest("hex");
      assert.equal(digest(back), digest(bytes));
      assert.equal(complaint, "to stderr\n");
      assert.deepEqual(status, CODE_0);
    });

    it("stop when nobody reads them, and hold up no other", async () => {
      const on = shared;
      const greedy = on.exec(1, ["sh", "-c", FLOOD]);
      const written = async (): Promise<string> => (await run(on, 1, ["cat", "/run/written"])).stdout;
      await until("its first lines", 20, async () => (await written()) !== "");
      const pause = async (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 2000));
      await until("it to stop", 60, async () => {
        const before = await written();
        await pause();
        return before === (await written());
      });
      const stopped = Number(await written());
      greedy.stdout.resume();
      await until("it to go on", 20, async () => Number(await written()) > stopped);
      greedy.kill("SIGKILL");
      assert.deepEqual(await greedy.exit, { code: null, signal: "SIGKILL", lost: null });
    });

    it("can be told from one that a signal ended, and be sent signals", async () => {
      const on = shared;
      assert.deepEqual((await run(on, 1, ["sh", "-c", "exit 137"])).status, { code: 137, signal: null, lost: null });
      assert.deepEqual((await run(on, 1, ["sh", "-c", "exit 255"])).status, { code: 255, signal: null, lost: null });
      const killed = (await run(on, 1, ["sh", "-c", "kill -SEGV $$"])).status;
      assert.deepEqual(killed, { code: null, signal: "SIGSEGV", lost: null });
      const trap = on.exec(1, ["sh", "-c", "trap 'echo usr1; exit 3' USR1; echo ready; while :; do sleep 0.1; done"]);
      trap.stdout.once("data", () => {
        trap.kill("SIGUSR1");
      });
      assert.deepEqual(await trap.exit, { code: 3, signal: null, lost: null });
      const cat = on.exec(1, ["cat"]);
      cat.kill();
      assert.deepEqual(await cat.exit, { code: null, signal: "SIGTERM", lost: null });
    });

    it("that do not exist say so", async () => {
      const { status, stderr } = await run(shared, 1, ["no-such-program"]);
      assert.equal(status.code, 127);
      assert.match(stderr, /no-such-program/);
    });

    it("end with the session, and their node is found alive", async () => {
      const on = shared;
      const sleeper = on.exec(1, ["sh", "-c", "sleep 4710 & echo started; wait"]);
      await new Promise((resolve) => sleeper.stdout.once("data", resolve));
      ssh.dropConnections(1);
      assert.deepEqual(await sleeper.exit, { code: null, signal: "SIGKILL", lost: null });
      assert.equal((await run(on, 1, ["echo", "again"])).stdout, "again\n");
      assert.equal(await ssh.sh(1, "pgrep -f 'sleep 471[0]' || :"), "");
    });

    it("bring results home through CLUSTERLOCK_OUT", async () => {
      const on = await connect();
      await Promise.all(
        [1, 2].map((n) => run(on, n, ["sh", "-c", 'echo $CLUSTERLOCK_NODE >"$CLUSTERLOCK_OUT/$CLUSTERLOCK_NODE"'])),
      );
      await on.down();
      assert.deepEqual(readdirSync(out).sort(), ["1", "2"]);
      assert.equal(readFileSync(path.join(out, "2"), "utf8"), "2\n");
    });
  });

  describe("hosts", () => {
    it("get a copy of a directory that they lack", async () => {
      const directory = mkdtempSync("/tmp/clt-");
      const files = path.join(directory, "it's here");
      mkdirSync(files);
      writeFileSync(path.join(files, "f"), "content\n");
      try {
        await Promise.all([1, 2].map((node) => ssh.sh(node, `rm -rf '${directory}'`)));
        const on = await connect({ sync: [files] });
        for (const node of on.nodes)
          assert.equal((await run(on, node, ["cat", path.join(files, "f")])).stdout, "content\n");
      } finally {
        rmSync(directory, { recursive: true });
      }
    });

    it("that lack Node, or do not answer, are named", async () => {
      await assert.rejects(
        connect({ node: "/opt/no/node" }),
        /^LabError: n[12] \(root@node[12]\): there is no Node at \/opt\/no\/node/,
      );
      const { hosts } = ssh.inventory();
      const [first] = hosts;
      const closed = { ...first!, options: ["-F", "none", "-o", "ProxyCommand=echo no way >&2; exit 1"] };
      await assert.rejects(
        connectSsh({ hosts: [closed], stack: "none" }, { log: out }),
        /^LabError: n1 \(root@node1\): /,
      );
    });

    it("show their kernel's log and their state", async () => {
      const on = shared;
      assert.match(await on.console(1), /Linux version 6/);
      const { driver, nodes, partition, links } = await on.status();
      assert.deepEqual({ driver, partition, links }, { driver: "ssh", partition: null, links: [] });
      assert.deepEqual(
        nodes.map(({ node, state, lost }) => [node, state, lost]),
        [
          [1, "up", null],
          [2, "up", null],
        ],
      );
    });

    it("without a command to switch them cannot be switched", async () => {
      const on = shared;
      await assert.rejects(on.kill(1), /^LabError: n1: the inventory has no key hosts\[0\]\.powerOff$/);
      await assert.rejects(on.freeze(2), /^LabError: n2: the inventory has no key hosts\[1\]\.thaw$/);
      await assert.rejects(on.kill(1, { lose: "all" }), /lose "all"/);
    });
  });

  describe("the cluster network", () => {
    it("is cut between groups, both ways, and heals", async () => {
      const on = shared;
      assert.equal((await pings(3)).length, 3);
      await on.partition([[1]]);
      assert.deepEqual((await on.status()).partition, [[1], [2]]);
      assert.deepEqual(await pings(3), []);
      // each side alone holds the cut
      for (const node of on.nodes)
        assert.match(await ssh.sh(node, "nft list table inet clusterlock"), /saddr[^]*daddr/);
      assert.equal((await run(on, 2, ["echo", "ssh stays"])).stdout, "ssh stays\n");
      await on.heal();
      assert.equal((await pings(3)).length, 3);
      assert.equal((await on.status()).partition, null);
      assert.equal(await ssh.sh(1, "nft list tables"), "");
    });

    it("loses and delays frames as it is told", async () => {
      const on = shared;
      await on.delay([2, 1], 100);
      const slow = await pings(5, 0.3);
      assert.equal(slow.length, 5);
      assert.ok(Math.min(...slow) >= 200, `each way takes 100 ms more: ${slow.join(", ")}`);
      await on.delay([1, 2], 0);
      await on.loss([1, 2], 30);
      assert.deepEqual((await on.status()).links, [{ link: [1, 2], loss: 30, delay: 0 }]);
      const count = 400;
      const back = (await pings(count, 0.01)).length / count;
      // both ways: 0.7 squared; five standard deviations
      assert.ok(Math.abs(back - 0.49) < 0.125, `${back} of the pings came back`);
      await on.heal();
      assert.equal((await pings(20, 0.01)).length, 20);
    });

    it("is not cut where a host has queueing of its own, and a failure leaves nothing", async () => {
      const on = shared;
      await ssh.sh(2, "tc qdisc add dev eth0 root handle 1: prio");
      try {
        await assert.rejects(on.partition([[1], [2]]), /^LabError: n2: .*queueing discipline of its own/);
        assert.equal((await on.status()).partition, null);
        assert.equal(await ssh.sh(1, "nft list tables"), "");
      } finally {
        await ssh.sh(2, "tc qdisc del dev eth0 root");
      }
    });

    it("keeps its faults when only a session is lost", async () => {
      const on = shared;
      await on.partition([[1], [2]]);
      const witness = on.exec(1, ["cat"]);
      ssh.dropConnections(1);
      await witness.exit;
      assert.match(await ssh.sh(1, "nft list tables"), /clusterlock/);
      assert.deepEqual(await pings(3), []);
      await on.heal();
    });
  });

  describe("a driver that is alone", () => {
    // its own sessions would be cut too, and its traces be taken for the other's
    before(async () => {
      await shared.down();
      await assertNothingLeft();
    });

    it("has nodes that lose their power and get it back", async () => {
      const on = await connect({}, ssh.switches(2));
      const sleeper = on.exec(2, ["sleep", "4713"]);
      await on.kill(2);
      assert.deepEqual(await sleeper.exit, { code: null, signal: null, lost: "killed" });
      assert.deepEqual(await on.exec(2, ["true"]).exit, { code: null, signal: null, lost: "killed" });
      const [, off] = (await on.status()).nodes;
      assert.deepEqual([off!.state, off!.lost], ["off", "killed"]);
      await assert.rejects(on.start(1), /^LabError: n1 is not off$/);
      await on.start(2);
      assert.equal((await run(on, 2, ["echo", "back"])).stdout, "back\n");
      assert.equal((await on.status()).nodes[1]!.state, "up");
      assert.deepEqual(ssh.switched.splice(0), ["off 2", "on 2"]);
    });

    it("has nodes that freeze and go on", async () => {
      const on = await connect({}, ssh.switches(2));
      const ticks = on.exec(2, ["sh", "-c", "while :; do echo tick; sleep 0.1; done"]);
      await new Promise((resolve) => ticks.stdout.once("data", resolve));
      await on.freeze(2);
      assert.deepEqual(await pings(3), []);
      assert.equal((await on.status()).nodes[1]!.state, "frozen");
      await on.thaw(2);
      await new Promise((resolve) => ticks.stdout.once("data", resolve));
      assert.equal((await pings(3)).length, 3);
      ticks.kill("SIGKILL");
      await ticks.exit;
    });

    it("is killed, and leaves nothing on the nodes", async () => {
      const inventory = path.join(out, "inventory.json");
      writeFileSync(inventory, JSON.stringify(ssh.inventory()));
      const controller = spawn(process.execPath, [CONTROLLER, inventory], {
        stdio: ["pipe", "pipe", "inherit"],
        cwd: "/",
        env: { ...process.env, TMPDIR: out },
      });
      await new Promise((resolve) => controller.stdout.once("data", resolve));
      assert.deepEqual(await pings(2), []);
      assert.match(await leftovers(), /agent[^]*faults\.sh[^]*clusterlock/);
      controller.kill("SIGKILL");
      await assertNothingLeft();
      assert.equal((await pings(2)).length, 2);
    });

    it("sets up a stack, which stays, and finds it again", async () => {
      const on = await connect({ stack: "dlm", setup: true });
      const found = /cluster nodeid 1 .*\n(?:.*\n)*node 1 M .*\nnode 2 M /;
      await until("both members", 30, async () => found.test((await run(on, 1, ["dlm_tool", "status"])).stdout));
      await on.down();
      const again = await connect({ stack: "dlm" });
      assert.match((await run(again, 1, ["dlm_tool", "status"])).stdout, found);
    });

    it("takes the kernel tests of the dlm as they are", async () => {
      const inventory = path.join(out, "inventory.json");
      writeFileSync(inventory, JSON.stringify(ssh.inventory({ stack: "dlm" })));
      const mocha = path.resolve(__dirname, "../../node_modules/.bin/mocha");
      const some = spawn(mocha, ["test/kernel/two-nodes.test.ts", "-g", "with node 1 as the resource's master"], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, CLUSTERLOCK_TEST_INVENTORY: inventory, TMPDIR: out },
      });
      const printed = await text(some.stdout);
      assert.match(printed, /\b[1-9]\d* passing/, printed);
      assert.doesNotMatch(printed, /failing/, printed);
    });

    // the last one: there is a node less
    it("has nodes that die", async () => {
      // a quarter of the time-out decides that it did
      const on = (own = await connectSsh(ssh.inventory(), { log: out, timeout: 80_000 }));
      const victim = on.exec(2, ["sleep", "4714"]);
      await ssh.lab.kill(2);
      assert.deepEqual(await victim.exit, { code: null, signal: null, lost: "died" });
      const [, dead] = (await on.status()).nodes;
      assert.deepEqual([dead!.state, dead!.lost], ["off", "died"]);
      assert.equal((await run(on, 1, ["echo", "alive"])).stdout, "alive\n");
    });
  });
});
