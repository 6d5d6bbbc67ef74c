import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import { domainDump, whoHoldsDomainLock } from "../../../../lib/dlmfs/inspect";
import { ROOTS } from "../../../../lib/fs-dlm/inspect/roots";

import { dumpText, record } from "./support";

// Plain directories in the place of the kernel's file systems.
describe("the dump of a domain", () => {
  const real = { ...ROOTS };
  let root: string;
  const put = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text, "latin1");
  };

  beforeEach(() => {
    root = mkdtempSync("/tmp/clt-domain-");
    const under = (name: string): string => path.join(root, name);
    Object.assign(ROOTS, {
      sysfs: under("sys"),
      configfs: under("config"),
      debugfs: under("debug"),
      proc: under("proc"),
    });
    Object.assign(ROOTS, { querySocket: "clt-nobody-listens", faked: true });
    put(
      "proc/self/mountinfo",
      "43 31 0:36 / /var/log rw - tmpfs tmpfs rw\n46 31 0:38 / /dlm rw shared:3 - ocfs2_dlmfs none rw\n" +
        "47 31 0:39 / /mnt/with\\040blank rw - ocfs2_dlmfs none rw\n",
    );
  });
  afterEach(() => {
    Object.assign(ROOTS, real);
    rmSync(root, { recursive: true, force: true });
  });

  function o2cb(): void {
    put("sys/fs/ocfs2/cluster_stack", "o2cb\n");
    for (const file of ["dlm_state", "locking_state"]) put(`debug/o2dlm/d/${file}`, dumpText(`o2cb-6.1/n1_${file}`));
  }
  function openFile(pid: number, fd: number, target: string, flags: string): void {
    mkdirSync(path.join(root, `proc/${pid}/fd`), { recursive: true });
    symlinkSync(Buffer.from(target, "latin1"), path.join(root, `proc/${pid}/fd/${fd}`));
    put(`proc/${pid}/fdinfo/${fd}`, `pos:\t0\nflags:\t${flags}\n`);
    put(`proc/${pid}/status`, `Name:\tholder\nTgid:\t${pid}\n`);
    put(`proc/${pid}/cmdline`, "holder\0-x\0");
  }

  it("on o2cb is o2dlm's", async () => {
    o2cb();
    const dump = await domainDump("d");
    assert.deepEqual([dump.stack, dump.node, dump.members, dump.problems], ["o2cb", 0, [0, 1], []]);
    assert.deepEqual([dump.recovery?.active, dump.o2dlm?.joins, dump.inFlight], [false, 1, undefined]);
    assert.deepEqual(dump.resources?.map(({ name }) => name).sort(), [
      "Nabcdefghijklmnop",
      "Nshort",
      "cached",
      "conv",
      "held",
      "new\\x0aline",
      "theirs",
      "umläut \\\\x",
      "value",
    ]);
    const held = await whoHoldsDomainLock("d", "held");
    assert.deepEqual(
      held.holders?.map(({ node, mode }) => [node, mode]),
      [[0, "EX"]],
    );
    const cut = await whoHoldsDomainLock("d", "Nabcdefghijklmnopqrstuvwxyz0123");
    assert.deepEqual([cut.lock, cut.holders?.length], ["Nabcdefghijklmnopqrstuvwxyz0123", 1]);
    assert.equal((await whoHoldsDomainLock("d", "Nabcdefghijklmnop-others")).holders?.length, 0);
  });

  it("on fs/dlm is the lockspace's of that name, in the same shape", async () => {
    put("sys/fs/ocfs2/cluster_stack", "pcmk\n");
    for (const n of [1, 2]) {
      put(`config/dlm/cluster/comms/${n}/nodeid`, `${n}\n`);
      put(`config/dlm/cluster/comms/${n}/local`, n === 1 ? "1\n" : "0\n");
      put(`config/dlm/cluster/spaces/d/nodes/${n}/nodeid`, `${n}\n`);
      put(`config/dlm/cluster/spaces/d/nodes/${n}/weight`, "1\n");
    }
    for (const [file, text] of [
      ["id", "1"],
      ["nodir", "0"],
      ["recover_status", "ff"],
      ["recover_nodeid", "0"],
    ]) {
      put(`sys/kernel/dlm/d/${file}`, `${text}\n`);
    }
    mkdirSync(path.join(root, "sys/class/misc"), { recursive: true });
    for (const file of ["all", "waiters"]) put(`debug/dlm/d_${file}`, dumpText(`dlmfs-dlm-6.1/n1_${file}`));
    const dump = await domainDump("d");
    assert.deepEqual([dump.stack, dump.node, dump.members, dump.inFlight], ["fs/dlm", 1, [1, 2], []]);
    assert.deepEqual([dump.recovery?.active, dump.o2dlm], [false, undefined]);
    // only dlm_controld is missed
    assert.deepEqual(
      dump.problems.map(({ path: where }) => where),
      ["dlm_controld"],
    );
    const find = (name: string): NonNullable<typeof dump.resources>[number] | undefined =>
      dump.resources?.find((resource) => resource.name === name);
    const conv = find("conv");
    assert.deepEqual(
      conv?.converting.map(({ node, mode, requested }) => [node, mode, requested]),
      [[1, "PR", "EX"]],
    );
    assert.ok((conv.converting[0]?.queuedUs ?? 0) >= 0);
    assert.deepEqual(
      find("held")?.waiting.map(({ node, requested }) => [node, requested]),
      [[2, "PR"]],
    );
    assert.deepEqual([find("theirs")?.master, find("theirs")?.mastered], [2, false]);
    const lvb = find("value")?.lvb;
    assert.deepEqual([lvb?.hex.length, lvb?.valid], [128, true]);
    assert.equal(find("Nabcdefghijklmnopqrstuvwxyz0123")?.nameComplete, true);
  });

  it("has those of this node who have files open, by lock and mode", async () => {
    o2cb();
    openFile(70, 3, "/dlm/d/held", "0100002");
    openFile(70, 4, "/dlm/d", "0200000");
    openFile(70, 5, "/dlm/d/held", "010100000");
    openFile(70, 6, "/dlm/other/held", "0100002");
    openFile(71, 9, "/mnt/with blank/d/held", "0100000");
    openFile(72, 3, "/dlm/d/new\nline", "0100001");
    const { resources = [], problems } = await domainDump("d");
    assert.deepEqual(problems, []);
    const filesOf = (name: string): unknown => resources.find((resource) => resource.name === name)?.openFiles;
    const held = { command: "holder -x", pid: 70, fd: 3, mode: "EX", mount: "/dlm" };
    assert.deepEqual(filesOf("held"), [held, { ...held, pid: 71, fd: 9, mode: "PR", mount: "/mnt/with blank" }]);
    assert.deepEqual(filesOf("new\\x0aline"), [{ ...held, pid: 72 }]);
    assert.deepEqual(filesOf("cached"), []);
    assert.equal(filesOf("Nabcdefghijklmnop"), undefined);
    const one = await domainDump("d", { mount: "/mnt/with blank" });
    assert.deepEqual(
      one.resources?.find(({ name }) => name === "held")?.openFiles?.map(({ pid }) => pid),
      [71],
    );
    for (const [mount, pids] of [
      ["/dlm/", [70]],
      ["/a/link/to/it", [70, 71]],
    ] as const) {
      const some = await domainDump("d", { mount });
      const files = some.resources?.find(({ name }) => name === "held")?.openFiles;
      assert.deepEqual(
        files?.map(({ pid }) => pid),
        pids,
        mount,
      );
    }
    const none = await domainDump("d", { openFiles: false });
    assert.equal(none.resources?.find(({ name }) => name === "held")?.openFiles, undefined);
    assert.equal((await whoHoldsDomainLock("d", "held")).holders?.[0]?.use, "held");
    assert.equal((await whoHoldsDomainLock("d", "cached")).holders?.[0]?.use, "cached");
  });

  it("says what is missing", async () => {
    const hints = async (): Promise<string> => (await domainDump("d")).problems.map(({ hint }) => hint).join("; ");
    assert.match(await hints(), /modprobe ocfs2_dlmfs/);
    put("sys/fs/ocfs2/cluster_stack", "o2cb\n");
    assert.match(await hints(), /mount -t debugfs/);
    mkdirSync(path.join(root, "debug"));
    assert.match(await hints(), /module ocfs2_dlm is not loaded/);
    mkdirSync(path.join(root, "debug/o2dlm"));
    assert.match(await hints(), /has not joined that domain/);
    put("debug/o2dlm/d/locking_state", "what is this\n");
    put("debug/o2dlm/d/dlm_state", "nor this\n");
    const { resources, o2dlm, problems } = await domainDump("d");
    assert.deepEqual(
      [resources, o2dlm, problems.map(({ code }) => code)],
      [[], undefined, Array(2).fill("ERR_DUMP_FORMAT")],
    );
  });

  it("of 20,000 locks keeps neither the event loop nor what it need not", async () => {
    o2cb();
    const text = Array.from({ length: 20_000 }, (_, i) =>
      record(`lock ${i}`, 0, [{ node: 0, queue: "granted", mode: 5 }]),
    );
    put("debug/o2dlm/d/locking_state", text.join(""));
    let turns = 0;
    let going = true;
    const count = (): void => {
      turns++;
      if (going) setImmediate(count);
    };
    setImmediate(count);
    const { resources } = await domainDump("d");
    going = false;
    assert.equal(resources?.length, 20_000);
    assert.ok(turns > 100, `${turns} turns`);
    assert.equal((await whoHoldsDomainLock("d", "lock 19999")).holders?.length, 1);
  });

  it("is not asked for wrongly", async () => {
    await assert.rejects(domainDump("a/b"), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(domainDump(1 as unknown as string), { code: "ERR_INVALID_ARG_TYPE" });
    await assert.rejects(domainDump("d", { mount: 1 as unknown as string }), { code: "ERR_INVALID_ARG_TYPE" });
    await assert.rejects(domainDump("d", { openFiles: 1 as unknown as boolean }), { code: "ERR_INVALID_ARG_TYPE" });
    await assert.rejects(domainDump("d", { signal: AbortSignal.abort() }), { name: "AbortError" });
    await assert.rejects(whoHoldsDomainLock("d", ""), { code: "ERR_INVALID_ARG_VALUE" });
  });
});
