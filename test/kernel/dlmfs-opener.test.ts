// The opener on lock files: an open() that waits for another owner sleeps uninterruptibly, and not even SIGKILL ends it.
// Two mounts of one node are two owners.

import assert from "node:assert/strict";
import path from "node:path";
import readline from "node:readline";

import type { NodeProcess } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { command } from "./support/shell";
import { Suite } from "./support/suite";

const ROOT = path.resolve(__dirname, "../..");
const ADDON = path.join(ROOT, "build/Release/clusterlock.node");
const OPENER = path.join(ROOT, "build/Release/clusterlock_opener");
const ENDS = path.join(ROOT, "test/lifecycle/programs/opener-ends.cjs");
const NAME = path.join(__dirname, "programs/opener-name.cjs");
const KILLED = path.join(__dirname, "programs/opener-killed.cjs");
const EBADR = 53;
const AT_ONCE = 20_000; // on an emulated processor, with others to serve; the lock is held for as long as the test wants

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The lines that a process prints, one after the other. */
function lines(child: NodeProcess): () => Promise<string> {
  const iterator = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => String((await iterator.next()).value);
}

async function inTime<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = sleep(AT_ONCE).then(() => {
    throw new Error(`not within ${AT_ONCE} ms: ${what}`);
  });
  return Promise.race([promise, late]);
}

describe("the opener with a lock that another owner holds", function () {
  this.timeout(120_000);
  const suite = Suite.on(1, "o2cb");
  let holder: NodeProcess;

  async function sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await suite.run(1, "sh", "-c", script);
    assert.equal(code, 0, stderr);
    return stdout;
  }
  async function until(what: string, script: string): Promise<void> {
    const end = Date.now() + AT_ONCE;
    while ((await suite.run(1, "sh", "-c", script)).code !== 0) assert.ok(Date.now() < end, what);
  }
  /** Runs until `release()`. */
  async function hold(file: string): Promise<void> {
    holder = suite.cluster.exec(1, ["sh", "-c", `exec 3<>${file}; echo held; cat`]);
    assert.equal(await lines(holder)(), "held");
  }
  async function release(): Promise<void> {
    holder.stdin.end();
    assert.equal((await holder.exit).code, 0);
  }
  const stateOf = async (pid: number): Promise<string> =>
    sh(`cat /proc/${pid}/task/*/stat 2>/dev/null | sed 's/.*) //; s/ .*//' | sort | tr -d '\\n'`);
  const start = (argv: string[], ...before: string[]): NodeProcess => {
    const child = suite.cluster.exec(1, [...before, process.execPath, ...argv]);
    if (!argv.includes("stay")) child.stdin.end();
    return child;
  };
  const ends = (isolation: string, ending: string): string[] => [
    ...[ENDS, ADDON, OPENER, "/dlm2/opener"],
    ...["D", isolation, ending],
  ];

  before(async () => {
    await sh("mkdir /dlm/opener /dlm2 && mount -t ocfs2_dlmfs none /dlm2 && mkdir /dlm2/opener");
    await sh("touch /dlm2/opener/held /dlm2/opener/pending");
  });
  after(async () => {
    await sh("rm -f /dlm/opener/* /dlm2/opener/*; rmdir /dlm2/opener /dlm/opener && umount /dlm2 && rmdir /dlm2");
  });
  beforeEach(async () => hold("/dlm/opener/pending"));
  afterEach(release);

  for (const [ending, code, signal] of [
    ["exit", 3, null],
    ["natural", 0, null],
    ["throw", 1, null],
    ["SIGKILL", null, "SIGKILL"],
    ["SIGTERM", null, "SIGTERM"],
    ["SIGINT", null, "SIGINT"],
    ["terminate", 0, null],
  ] as const) {
    it(`${ending} ends a program at once, though its opener sleeps on`, async () => {
      // in a session of its own, where a signal to the group meets nobody else; a shell tells how it ended
      const script = `setsid --wait "$0" "$@"; echo "$?"`;
      const child = suite.cluster.exec(1, ["sh", "-c", script, process.execPath, ...ends("process", ending)]);
      const next = lines(child);
      const opener = Number(await inTime("it waits", next()));
      const status = Number(await inTime("it ends", next()));
      assert.equal(status, signal === null ? code : 128 + { SIGKILL: 9, SIGTERM: 15, SIGINT: 2 }[signal]);
      assert.match(await stateOf(opener), /D/);
      // what it held is free
      await until("the other lock is given up", "timeout 5 sh -c 'exec 3<>/dlm/opener/held'");
      await release();
      await until("the opener has ended", `! test -e /proc/${opener}`);
      await hold("/dlm/opener/pending");
    });
  }

  it("isolation thread keeps the program until the lock is granted", async () => {
    const child = start(ends("thread", "exit"));
    const pid = Number(await inTime("it waits", lines(child)()));
    let ended = false;
    void child.exit.then(() => (ended = true));
    await sleep(1000);
    assert.equal(ended, false);
    assert.match(await stateOf(pid), /D/);
    // and yet what it held is free
    await until("the other lock is given up", "timeout 5 sh -c 'exec 3<>/dlm/opener/held'");
    await release();
    assert.equal((await inTime("it ends", child.exit)).code, 3);
    await hold("/dlm/opener/pending");
  });

  it("does not keep a pipeline open that a killed program was part of", async () => {
    const script = `timeout -s KILL 10 "$0" "$@" | cat; echo end`;
    const child = suite.cluster.exec(1, ["sh", "-c", script, process.execPath, ...ends("process", "stay")]);
    const next = lines(child);
    const opener = Number(await inTime("it waits", next()));
    assert.equal(await inTime("the pipeline ends", next()), "end");
    assert.match(await stateOf(opener), /D/);
  });

  it("is seen at once to have been killed, and keeps the name marked until the kernel lets go", async () => {
    const child = start([KILLED, ADDON, OPENER, "/dlm2/opener/pending", "/run/clusterlock-test/sidecar"]);
    const next = lines(child);
    const heard = JSON.parse(await inTime("it hears of it", next())) as { ms: number; state: string; marked: boolean };
    assert.deepEqual([heard.state, heard.marked], ["D", true]);
    assert.ok(heard.ms < 5000, `${heard.ms} ms`);
    let free = false;
    const later = next().then((line) => (free = line === '"free"'));
    await sleep(500);
    assert.equal(free, false);
    await release();
    assert.equal(await inTime("the mark goes", later), true);
    assert.equal((await child.exit).code, 0);
    await hold("/dlm/opener/pending");
  });
});

describe("the opener on fs/dlm, whose cluster has a name", function () {
  this.timeout(180_000);

  it("puts the name away to join, and has it back whenever it is killed", async () => {
    await using cluster = await openCluster({ stack: "dlmfs-dlm", nodes: 1 });
    const { stdout, stderr } = await command(cluster, 1, [process.execPath, NAME, ADDON, OPENER]);
    assert.equal(stderr, "");
    const { blank, ...said } = JSON.parse(stdout) as { blank: number };
    assert.deepEqual(said, {
      before: "lab\n",
      plain: -EBADR,
      joined: 0,
      after: "lab\n",
      left: 0,
      wrong: [],
      untold: [false, "lab\n"],
    });
    assert.ok(blank > 0, "it was never killed while the name was away");
  });
});
