import assert from "node:assert/strict";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";

import { clusterStatus, listLockspaces, lockDump, whoHolds } from "../../../../lib/dlm";
import { COMMAND } from "../../../../lib/fs-dlm/inspect/controld/layout";
import { ROOTS } from "../../../../lib/fs-dlm/inspect/roots";
import { native, useAddon } from "../../../../lib/native";

import { dumpPath } from "../../fs-dlm/inspect/support";

// Plain directories in the place of the kernel's file systems.
describe("introspection", () => {
  const real = { ...ROOTS };
  let root: string;
  const put = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text, "latin1");
  };

  beforeEach(() => {
    root = mkdtempSync("/tmp/clt-inspect-");
    const under = (name: string): string => path.join(root, name);
    const [sysfs, configfs, debugfs] = ["sys", "config", "debug"].map(under) as [string, string, string];
    Object.assign(ROOTS, { sysfs, configfs, debugfs, querySocket: "clt-nobody-listens", faked: true });
  });

  afterEach(() => {
    Object.assign(ROOTS, real);
    rmSync(root, { recursive: true, force: true });
  });

  function cluster(node: number): void {
    for (const n of [1, 2]) {
      put(`config/dlm/cluster/comms/${n}/nodeid`, `${n}\n`);
      put(`config/dlm/cluster/comms/${n}/local`, n === node ? "1\n" : "0\n");
      put(`config/dlm/cluster/comms/${n}/addr_list`, `AF_INET\t10.0.0.${n}\n`);
    }
    put("config/dlm/cluster/cluster_name", "lab\n");
  }

  function lockspace(name: string, recoverStatus: string, minor?: number): void {
    put(`sys/kernel/dlm/${name}/id`, "2633556027\n");
    put(`sys/kernel/dlm/${name}/nodir`, "0\n");
    put(`sys/kernel/dlm/${name}/recover_status`, `${recoverStatus}\n`);
    put(`sys/kernel/dlm/${name}/recover_nodeid`, "0\n");
    mkdirSync(path.join(root, "sys/class/misc"), { recursive: true });
    if (minor !== undefined) put(`sys/class/misc/dlm_${name}/dev`, `10:${minor}\n`);
    put(`config/dlm/cluster/spaces/${name}/nodes/1/nodeid`, "1\n");
    put(`config/dlm/cluster/spaces/${name}/nodes/1/weight`, "1\n");
  }

  function dumps(name: string, from: string): void {
    for (const file of ["all", "locks", "toss"]) {
      put(`debug/dlm/${name}_${file}`, "");
      cpSync(dumpPath(`${from}_${file}`), path.join(root, `debug/dlm/${name}_${file}`));
    }
    put(`debug/dlm/${name}_waiters`, "1 11 -1 q 3\n");
  }

  it("reads a node's dump", async () => {
    cluster(1);
    dumps("cap", "6.1/n1");
    const dump = await lockDump("cap", { inactive: true });
    assert.deepEqual([dump.node, dump.resources?.length, dump.problems], [1, 9, []]);
    assert.deepEqual(dump.inFlight, [{ lkid: 1, resource: "q 3", awaits: "lookup", node: undefined }]);
    assert.deepEqual(dump.inactive?.at(-1), { name: "tossed", master: 1, directory: 2 });
    const held = await whoHolds("cap", Buffer.from('\0\x01\xff\x80\n"\x07', "latin1"));
    assert.deepEqual([held.complete, held.holders?.length, held.waiting], [true, 1, []]);
    assert.equal(held.resource, '\\x00\\x01\\xff\\x80\\x0a"\\x07');
    const none = await whoHolds("cap", "nobody's");
    assert.deepEqual([none.complete, none.master, none.holders], [false, undefined, []]);
  });

  it("answers in part when things are missing, and says what mends it", async () => {
    const nothing = await lockDump("cap", { inactive: true });
    assert.deepEqual(
      [nothing.node, nothing.resources, nothing.inFlight, nothing.inactive],
      [undefined, undefined, undefined, undefined],
    );
    assert.deepEqual([...new Set(nothing.problems.map(({ code }) => code))], ["ENOENT"]);
    assert.match(nothing.problems[1]!.hint, /not mounted/);
    mkdirSync(path.join(root, "debug"));
    assert.match((await lockDump("cap")).problems[1]!.hint, /module dlm/);
    mkdirSync(path.join(root, "debug/dlm"));
    assert.match((await lockDump("cap")).problems[1]!.hint, /no member/);
    put("debug/dlm/cap_all", "what is this\n");
    assert.ok((await lockDump("cap")).problems.some(({ code }) => code === "ERR_DUMP_FORMAT"));
    const held = await whoHolds("gone", "r");
    assert.deepEqual([held.holders, held.waiting, held.complete], [undefined, undefined, false]);
  });

  it("refuses what can be no question", async () => {
    await assert.rejects(lockDump("a/b"), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(lockDump("cap", { source: "toss" as "all" }), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(lockDump("cap", { inactive: 1 as unknown as boolean }), { code: "ERR_INVALID_ARG_TYPE" });
    await assert.rejects(whoHolds("cap", ""), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(listLockspaces({ timeout: 0 }), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(clusterStatus({ timeout: "1" as unknown as number }), { code: "ERR_INVALID_ARG_TYPE" });
    await assert.rejects(lockDump("cap", { signal: AbortSignal.abort() }), { name: "AbortError" });
  });

  it("parses 100,000 locks without keeping the event loop for long", async () => {
    cluster(1);
    dumps("big", "6.1/n1");
    for (const source of ["all", "locks"] as const) {
      const file = path.join(root, `debug/dlm/big_${source}`);
      writeFileSync(file, "");
      for (let at = 0; at < 100_000; at += 1000) {
        const locks = Array.from({ length: 1000 }, (_, i) => {
          const [id, name] = [(at + i + 1).toString(16), `resource number ${at + i}`];
          return source === "all"
            ? `rsb 00000000402cb0e2 0 0 0 0 0 0 ${name.length} str ${name}\nlkb ${id} 0 0 ${process.pid} 0 0 1 2 5 -1 0 0 0 0 1 0\n`
            : `${id} 0 0 ${process.pid} 0 0 1 2 5 -1 10 0 ${name.length} "${name}"\n`;
        });
        appendFileSync(file, locks.join(""));
      }
      let turns = 0;
      let going = true;
      const count = (): void => {
        turns++;
        if (going) setImmediate(count);
      };
      setImmediate(count);
      const { resources, problems } = await lockDump("big", { source });
      going = false;
      assert.deepEqual(problems, []);
      assert.equal(resources?.length, 100_000);
      assert.equal(resources[7]?.granted[0]?.process?.pid, process.pid);
      // a turn for every few hundred locks
      assert.ok(turns > 300, `${turns} turns`);
    }
  }).timeout(60_000);

  it("lists lockspaces without dlm_controld's word", async () => {
    cluster(1);
    lockspace("orders", "ff", 121);
    lockspace("gfs", "15");
    lockspace("still", "0", 122);
    const { node, lockspaces, problems } = await listLockspaces();
    assert.equal(node, 1);
    assert.deepEqual(
      lockspaces?.map(({ name, state, device, members, controld }) => [name, state, device, members?.length, controld]),
      [
        ["gfs", "recovering", null, 1, undefined],
        ["orders", "running", { major: 10, minor: 121, name: "dlm_orders" }, 1, undefined],
        ["still", "stopped", { major: 10, minor: 122, name: "dlm_still" }, 1, undefined],
      ],
    );
    assert.deepEqual(
      problems.map(({ path: where, code }) => [where, code]),
      [["dlm_controld", "ECONNREFUSED"]],
    );
    const status = await clusterStatus();
    assert.deepEqual(
      [status.name, status.daemon, status.nodes, status.waitsFor],
      ["lab", undefined, undefined, undefined],
    );
    assert.deepEqual(status.addresses?.[0], { node: 1, local: true, addresses: ["10.0.0.1"] });
  });

  it("says that there is nothing to ask at all", async () => {
    const { lockspaces, problems } = await listLockspaces();
    assert.equal(lockspaces, undefined);
    assert.deepEqual(problems.map(({ code }) => code).sort(), ["ECONNREFUSED", "ENOENT", "ENOENT"]);
  });

  describe("with a dlm_controld", () => {
    const sockets = new Set<net.Socket>();
    let server: net.Server;

    async function serve(answer: (socket: net.Socket, question: Buffer) => void): Promise<void> {
      const name = `clt-controld-${process.pid}`;
      server = net.createServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.once("data", (question: Buffer) => {
          answer(socket, question);
        });
      });
      await new Promise<void>((resolve) => server.listen({ path: `\0${name}` }, resolve));
      // Node 20 fills the name up
      ROOTS.querySocket = name.padEnd(107, "\0");
    }

    afterEach(async () => {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
      await new Promise((resolve) => server.close(resolve));
    });

    it("has its word on lockspaces and the cluster", async () => {
      cluster(1);
      lockspace("cap", "ff", 121);
      const replies = JSON.parse(readFileSync(dumpPath("controld-4.2.json"), "utf8")) as Record<string, string>;
      const byCommand = new Map([
        [COMMAND.lockspaces, "lss"],
        [COMMAND.lockspaceNodes, "mem"],
        [COMMAND.status, "status"],
      ]);
      await serve((socket, question) => {
        const name = byCommand.get(question.readUInt32LE(8) as 5 | 6 | 13) ?? "";
        socket.end(Buffer.from(replies[name] ?? "", "hex"));
      });
      const { lockspaces, problems } = await listLockspaces();
      const [cap] = lockspaces ?? [];
      assert.deepEqual([cap?.state, cap?.controld?.members, cap?.controld?.change.seq], ["running", [1, 2], 2]);
      assert.deepEqual(problems, []);
      const status = await clusterStatus();
      assert.deepEqual([status.daemon?.quorate, status.nodes?.map(({ member }) => member)], [true, [true, true]]);
      assert.deepEqual([status.waitsFor, status.problems], [[], []]);
    });

    for (const [what, answer, code] of [
      ["that says nothing", () => undefined, "ETIMEDOUT"],
      ["that hangs up", (socket: net.Socket) => socket.end(), "ERR_CONTROLD_PROTOCOL"],
      ["of another make", (socket: net.Socket) => socket.end("HTTP/1.1 400 Bad Request"), "ERR_CONTROLD_PROTOCOL"],
    ] as const) {
      it(`${what}: answers in part`, async () => {
        await serve(answer);
        cluster(1);
        lockspace("cap", "ff", 121);
        const { lockspaces, problems } = await listLockspaces({ timeout: 300 });
        assert.equal(lockspaces?.[0]?.state, "running");
        assert.deepEqual(
          problems.map((problem) => [problem.path, problem.code]),
          [["dlm_controld", code]],
        );
        const status = await clusterStatus({ timeout: 300 });
        assert.deepEqual([status.daemon, status.problems.map((problem) => problem.code)], [undefined, [code]]);
      });
    }

    it("whose queue is full is waited for, in time", async () => {
      await serve(() => undefined);
      const before = native();
      let asked = 0;
      useAddon({ ...before, connectAbstract: () => (asked++, -11) });
      try {
        const { problems } = await clusterStatus({ timeout: 150 });
        assert.equal(problems.at(-1)?.code, "ETIMEDOUT");
        assert.ok(asked > 1);
      } finally {
        useAddon(before);
      }
    });
  });
});
