import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import {
  type DomainDump,
  type WaitExplanation,
  explainWait,
  explainWaits,
  holdersOf,
} from "../../../../lib/dlmfs/inspect";
import { sleepsIn } from "../../../../lib/dlmfs/inspect/wait/task";
import { ROOTS } from "../../../../lib/fs-dlm/inspect/roots";

import { type Story, dumpFrom, dumpText, record } from "./support";

const NL = 0;
const PR = 3;
const EX = 5;

describe("who holds a lock of a dump", () => {
  it("are those with more than NL; who asks is in the order of service", () => {
    const dump = dumpFrom(
      0,
      record("r", 0, [
        { node: 2, queue: "granted", mode: NL },
        { node: 1, queue: "granted", mode: PR },
        { node: 0, queue: "converting", mode: PR, requested: EX },
        { node: 4, queue: "converting", mode: NL, requested: EX },
        { node: 3, queue: "waiting", requested: PR },
      ]),
    );
    const { complete, master, holders, waiting } = holdersOf(dump, "r");
    assert.deepEqual([complete, master], [true, 0]);
    assert.deepEqual(
      holders?.map(({ node, mode, use }) => [node, mode, use]),
      [
        [1, "PR", "unknown"],
        [0, "PR", "cached"],
      ],
    );
    assert.deepEqual(
      waiting?.map(({ node }) => node),
      [0, 4, 3],
    );
  });

  it("are not all when the master is another, or the page was full", () => {
    const text = record("r", 1, [{ node: 0, queue: "granted", mode: EX }]);
    assert.equal(holdersOf(dumpFrom(0, text), "r").complete, false);
    const cut = record("r", 0, [{ node: 0, queue: "granted", mode: EX }]).slice(0, -1);
    assert.equal(holdersOf(dumpFrom(0, cut), "r").complete, false);
  });

  it("by which of two mounts nobody can say", () => {
    const dump = dumpFrom(
      0,
      record("r", 0, [
        { node: 0, queue: "granted", mode: PR },
        { node: 0, queue: "granted", mode: PR },
      ]),
    );
    dump.resources![0]!.openFiles = [{ pid: 1, command: "x", fd: 3, mode: "PR", mount: "/dlm" }];
    assert.deepEqual(
      holdersOf(dump, "r").holders?.map(({ use }) => use),
      ["unknown", "unknown"],
    );
  });

  it("is nothing to ask for by a name that no file has", () => {
    assert.throws(() => holdersOf(dumpFrom(0, ""), "a/b"), { code: "ERR_INVALID_ARG_VALUE" });
    assert.throws(() => holdersOf(dumpFrom(0, ""), "x".repeat(32)), { code: "ERR_INVALID_ARG_VALUE" });
  });
});

// Plain directories in the place of the kernel's file systems.
describe("what a request waits for", () => {
  const real = { ...ROOTS };
  let root: string;
  const put = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text, "latin1");
  };
  const STATE = dumpText("o2cb-6.1/n1_dlm_state");

  beforeEach(() => {
    root = mkdtempSync("/tmp/clt-wait-");
    const under = (name: string): string => path.join(root, name);
    Object.assign(ROOTS, { sysfs: under("sys"), configfs: under("config"), debugfs: under("debug"), faked: true });
    ROOTS.proc = under("proc");
    put("sys/fs/ocfs2/cluster_stack", "o2cb\n");
    put("debug/o2dlm/d/dlm_state", STATE);
    put("proc/self/mountinfo", "46 31 0:38 / /dlm rw,relatime - ocfs2_dlmfs ocfs2_dlmfs rw\n");
  });
  afterEach(() => {
    Object.assign(ROOTS, real);
    rmSync(root, { recursive: true, force: true });
  });

  function openFile(pid: number, name: string, flags: string): void {
    mkdirSync(path.join(root, `proc/${pid}/fd`), { recursive: true });
    symlinkSync(`/dlm/d/${name}`, path.join(root, `proc/${pid}/fd/3`));
    put(`proc/${pid}/fdinfo/3`, `pos:\t0\nflags:\t${flags}\nmnt_id:\t46\n`);
    put(`proc/${pid}/status`, `Name:\tholder\nTgid:\t${pid}\n`);
    put(`proc/${pid}/cmdline`, "holder\0-x\0");
  }

  async function explain(stories: Story[], owner = 0, state = 0, options = {}): Promise<WaitExplanation> {
    put("debug/o2dlm/d/locking_state", record("r", owner, stories, state));
    return explainWait("d", { name: "r", mode: "EX", sinceMs: 12_345, phase: "kernel" }, options);
  }

  it("are the incompatible holders, then those ahead", async () => {
    openFile(77, "r", "0100000");
    const { cause, blockers, complete, sentence, problems } = await explain([
      { node: 1, queue: "granted", mode: PR },
      { node: 0, queue: "granted", mode: PR },
      { node: 2, queue: "granted", mode: NL },
      { node: 3, queue: "converting", mode: NL, requested: EX },
      { node: 0, queue: "converting", mode: NL, requested: EX },
      { node: 4, queue: "converting", mode: NL, requested: EX },
    ]);
    assert.deepEqual([cause, complete, problems], ["locks", true, []]);
    assert.deepEqual(
      blockers.map(({ node, reason }) => [node, reason]),
      [
        [1, "held"],
        [0, "held"],
        [3, "ahead"],
      ],
    );
    assert.equal(
      sentence,
      "waits for EX on 'r' of domain 'd' for 12.3 s: node 1 holds or caches PR; this node holds or caches PR; " +
        "node 3 asked for EX before",
    );
  });

  it("are not those that it is compatible with", async () => {
    const stories: Story[] = [
      { node: 1, queue: "granted", mode: PR },
      { node: 2, queue: "converting", mode: PR, requested: EX },
      { node: 0, queue: "waiting", requested: PR },
    ];
    put("debug/o2dlm/d/locking_state", record("r", 0, stories));
    const { blockers, sentence } = await explainWait("d", { name: "r", mode: "PR", sinceMs: 1, phase: "kernel" });
    assert.deepEqual(
      blockers.map(({ node, reason }) => [node, reason]),
      [[2, "ahead"]],
    );
    assert.match(sentence, /: node 2 asked for EX before$/);
  });

  it("are this node's other files, by name", async () => {
    openFile(77, "r", "0100000");
    const { cause, openFiles, sentence } = await explain([{ node: 0, queue: "granted", mode: PR }], 1);
    assert.deepEqual([cause, openFiles?.[0]?.pid, openFiles?.[0]?.mode], ["own-files", 77, "PR"]);
    assert.match(sentence, /before process 77 \(holder -x, PR\) has closed it$/);
  });

  it("is only known to the master, or told by its dump", async () => {
    const stories: Story[] = [{ node: 0, queue: "waiting", requested: EX }];
    const alone = await explain(stories, 1);
    assert.deepEqual([alone.cause, alone.master, alone.complete], ["master", 1, false]);
    const others: DomainDump[] = [
      dumpFrom(
        1,
        record("r", 1, [
          { node: 2, queue: "granted", mode: EX },
          { node: 3, queue: "granted", mode: NL },
          { ...stories[0]! },
        ]),
      ),
    ];
    // the cookie is the owner's, and so the same there
    others[0]!.resources![0]!.waiting[0]!.id = "0:1";
    const both = await explain(stories, 1, 0, { others });
    assert.deepEqual([both.cause, both.blockers.map(({ node }) => node), both.complete], ["locks", [2], true]);
    const elsewhere = await explain(stories, 1, 0, { others: [{ ...others[0]!, domain: "e" }] });
    assert.equal(elsewhere.cause, "master");
  });

  it("is a node's answer, while a message is under way", async () => {
    const { cause, sentence } = await explain([{ node: 0, queue: "waiting", requested: EX, pending: "lock" }], 1);
    assert.equal(cause, "answer");
    assert.match(sentence, /node 1, which grants it, has not answered$/);
    assert.equal((await explain([], 255)).cause, "answer");
  });

  it("is the take-over of a dead node's locks", async () => {
    put(
      "debug/o2dlm/d/dlm_state",
      STATE.replace("Dead Node: 255", "Dead Node: 1").replace(
        "Master: 255  State: INACTIVE",
        "Master: 0  State: ACTIVE",
      ),
    );
    const stories: Story[] = [{ node: 0, queue: "waiting", requested: EX }];
    const { cause, recovery, sentence } = await explain(stories, 1);
    assert.deepEqual([cause, recovery?.deadNode, recovery?.master], ["recovery", 1, 0]);
    assert.match(sentence, /the locks of node 1, which is dead, are being taken over, led by node 0$/);
    // what the dead node has no part in goes on
    assert.equal((await explain(stories, 2)).cause, "master");
    assert.equal((await explain(stories, 2, 0x2)).cause, "recovery");
  });

  it("is nothing any more when this node has left the cluster", async () => {
    put("debug/o2dlm/d/dlm_state", STATE.replace("Live Map: 0 1 ", "Live Map: "));
    const { cause, sentence } = await explain([{ node: 0, queue: "waiting", requested: EX }]);
    assert.equal(cause, "lost");
    assert.match(sentence, /heartbeat has ended/);
  });

  it("is said to be listed nowhere when it is not", async () => {
    assert.equal((await explain([{ node: 0, queue: "granted", mode: NL }], 1)).cause, "unlisted");
  });

  it("is told without a look at the kernel's locks while it has not got there", async () => {
    openFile(77, "r", "0100002");
    put("debug/o2dlm/d/locking_state", record("r", 0, [{ node: 0, queue: "granted", mode: EX }]));
    const local = await explainWait("d", { name: "r", mode: "EX", sinceMs: 400, phase: "local" });
    assert.match(local.sentence, /for 0\.4 s: process 77 \(holder -x, EX\) of this node has it$/);
    const queued = await explainWait("d", { name: "r", mode: "EX", sinceMs: 400, phase: "queued" });
    assert.match(queued.sentence, /other requests of this process come first$/);
  });

  it("is the directory, if the thread sleeps for it", async () => {
    put("proc/9/task/10/stat", "10 (a ) b) D 1 1");
    put("proc/9/task/10/wchan", "path_openat");
    put("proc/9/task/10/stack", "[<0>] path_openat+0xb7d/0x1260\n[<0>] do_filp_open+0xaf/0x160\n");
    const opener = { pid: 9, task: { tid: 10, phase: "kernel" } };
    const { cause, task } = await explain([], 0, 0, { opener });
    assert.equal(cause, "directory");
    assert.deepEqual(task, {
      pid: 9,
      tid: 10,
      state: "D",
      wchan: "path_openat",
      stack: ["path_openat", "do_filp_open"],
    });
    assert.equal(sleepsIn({ ...task, stack: undefined }), "directory");
    assert.equal(sleepsIn({ ...task, stack: ["user_dlm_cluster_lock", "dlmfs_file_open"] }), "lock");
    assert.equal(sleepsIn({ ...task, stack: ["o2net_send_message_vec", "dlmlock"] }), "node");
    assert.equal(sleepsIn({ ...task, stack: undefined, wchan: undefined }), "unknown");
    const gone = await explain([], 0, 0, { opener: { pid: 9, task: { tid: 11, phase: "kernel" } } });
    assert.deepEqual([gone.task?.state, gone.task?.stack], [undefined, undefined]);
  });

  it("is unknown where nothing can be read, and says so", async () => {
    rmSync(path.join(root, "debug"), { recursive: true });
    const { cause, problems, sentence } = await explainWait("d", {
      name: "r",
      mode: "EX",
      sinceMs: 1,
      phase: "kernel",
    });
    assert.equal(cause, "unknown");
    assert.match(problems[0]?.hint ?? "", /mount -t debugfs/);
    assert.match(sentence, /could not be read$/);
  });

  it("is told in time although a file says nothing", async () => {
    // a pipe without a writer: an open that does not return
    put("debug/o2dlm/d/x", "");
    const pipe = path.join(root, "debug/o2dlm/d/dlm_state");
    rmSync(pipe);
    const { execFileSync } = await import("node:child_process");
    execFileSync("mkfifo", [pipe]);
    const before = performance.now();
    const { cause, problems } = await explainWait(
      "d",
      { name: "r", mode: "EX", sinceMs: 1, phase: "kernel" },
      { timeout: 100 },
    );
    assert.ok(performance.now() - before < 5000);
    assert.deepEqual([cause, problems.map(({ code }) => code)], ["unknown", ["ETIMEDOUT"]]);
    // lets the thread go
    writeFileSync(pipe, "");
  });

  it("is told of many requests from one reading", async () => {
    const names = Array.from({ length: 500 }, (_, i) => `r${i}`);
    const lock: Story[] = [
      { node: 1, queue: "granted", mode: EX },
      { node: 0, queue: "waiting", requested: EX },
    ];
    put("debug/o2dlm/d/locking_state", names.map((name) => record(name, 0, lock)).join(""));
    const requests = names.map((name) => ({ name, mode: "EX", sinceMs: 1, phase: "kernel" }) as const);
    const before = performance.now();
    const explanations = await explainWaits("d", requests);
    assert.ok(performance.now() - before < 5000);
    assert.deepEqual(
      explanations.map(({ lock: name }) => name),
      names,
    );
    assert.deepEqual(
      [...new Set(explanations.map(({ cause, blockers }) => `${cause} ${blockers[0]?.node}`))],
      ["locks 1"],
    );
  });

  it("is not asked for wrongly", async () => {
    const request = { name: "r", mode: "EX", sinceMs: 1, phase: "kernel" } as const;
    await assert.rejects(explainWait("a/b", request), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(explainWait("d", { ...request, mode: "CR" as "PR" }), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(explainWait("d", { ...request, phase: "x" as "kernel" }), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(explainWait("d", request, { timeout: 0 }), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(explainWait("d", request, { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});
