// The lab's contracts, on real clusters. `npm run build` comes first: nodes run dist/, as users' do.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";

import type { Cluster, NodeProcess } from "../../lib/lab";
import { LabOptionError, runOn } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { assertNothingLeft, CLI, labRun, processesOf } from "./support/lab-run";

const MODULES =
  "dlm ocfs2_dlmfs ocfs2_stack_o2cb ocfs2_stack_user gfs2 ocfs2 dm-mirror dm-log-userspace dm-flakey dm-delay dm-log-writes loop";

function lines(output: string): string[] {
  return output.split("\n").filter((line) => line !== "");
}

describe("lab", function () {
  this.timeout(120_000);
  let tmp: string;

  beforeEach(() => {
    tmp = mkdtempSync("/tmp/clt-");
  });
  afterEach(() => {
    rmSync(tmp, { recursive: true, force: true });
  });

  describe("a two-node dlm cluster behind the driver door", () => {
    let cluster: Cluster;
    let own: string;
    const progress: string[] = [];

    before(async () => {
      own = mkdtempSync("/tmp/clt-");
      cluster = await openCluster({ log: own, onProgress: (line) => progress.push(line) });
    });
    after(async () => {
      await cluster.down();
      rmSync(own, { recursive: true });
    });

    async function output(process: NodeProcess): Promise<string> {
      process.stdin.end();
      const [printed, complaint, { code }] = await Promise.all([
        text(process.stdout),
        text(process.stderr),
        process.exit,
      ]);
      assert.equal(code, 0, complaint);
      return printed;
    }

    const script = async (node: number, command: string): Promise<string> =>
      output(cluster.exec(node, ["sh", "-c", command]));

    it("joins a lockspace with both nodes as members", async () => {
      await Promise.all(cluster.nodes.map((node) => script(node, "dlm_tool join first")));
      for (const node of cluster.nodes) assert.match(await script(node, "dlm_tool ls"), /members\s+1 2\b/);
      await Promise.all(cluster.nodes.map((node) => script(node, "dlm_tool leave first")));
    });

    it("tells programs where they are, at the same path and with the same Node", async () => {
      const show = `const { env } = process; console.log(JSON.stringify([env.CLUSTERLOCK_NODE, env.CLUSTERLOCK_NODES,
        env.CLUSTERLOCK_STACK, env.CLUSTERLOCK_OUT, process.cwd(), process.execPath, process.getuid()]))`;
      for (const node of cluster.nodes) {
        const seen: unknown = JSON.parse(await output(cluster.exec(node, [process.execPath, "-e", show])));
        assert.deepEqual(seen, [String(node), "2", "dlm", own, process.cwd(), process.execPath, 0]);
      }
    });

    it("takes a program's own directory and environment", async () => {
      const program = cluster.exec(2, ["sh", "-c", 'echo "$PWD $X"'], { cwd: "/usr", env: { X: "a  b" } });
      assert.equal(await output(program), "/usr a  b\n");
    });

    it("talks to several programs on each node at once, line by line", async () => {
      const echoes = [1, 1, 2, 2].map((node) => cluster.exec(node, ["cat"]));
      const times: number[] = [];
      for (let round = 0; round < 20; round++) {
        const began = performance.now();
        const answers = echoes.map(
          (echo, index) =>
            new Promise<string>((resolve) => {
              echo.stdout.once("data", (chunk: Buffer) => {
                resolve(chunk.toString());
              });
              echo.stdin.write(`${round} to ${index}\n`);
            }),
        );
        assert.deepEqual(
          await Promise.all(answers),
          echoes.map((_, index) => `${round} to ${index}\n`),
        );
        times.push(performance.now() - began);
      }
      for (const echo of echoes) echo.stdin.end();
      for (const echo of echoes) assert.equal((await echo.exit).code, 0);
      const median = times.sort((a, b) => a - b)[10]!;
      assert.ok(median < 100, `four answers took ${median.toFixed(1)} ms`);
    });

    it("carries every byte, to the last before the end, both ways", async () => {
      const bytes = Buffer.from(Array.from({ length: 600_000 }, (_, index) => (index * 7 + (index >> 8)) & 255));
      const program = cluster.exec(1, ["cat"]);
      program.stdin.end(bytes);
      const chunks: Buffer[] = [];
      for await (const chunk of program.stdout) chunks.push(chunk as Buffer);
      assert.ok(Buffer.concat(chunks).equals(bytes));
    });

    it("does not let an unread program stop another", async () => {
      const flood = cluster.exec(1, ["yes"]);
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(await script(1, "echo through"), "through\n");
      flood.kill("SIGKILL");
      assert.deepEqual(await flood.exit, { code: null, signal: "SIGKILL", lost: null });
    });

    it("gives programs pipes that can be opened again", async () => {
      const program = cluster.exec(2, ["sh", "-c", "echo out >/dev/stdout; echo err >/dev/stderr"]);
      assert.deepEqual(await Promise.all([text(program.stdout), text(program.stderr)]), ["out\n", "err\n"]);
    });

    it("says what cannot be run, as a shell would", async () => {
      for (const [argv, cwd, status] of [
        [["no-such-program"], "/", 127],
        [["/etc/passwd"], "/", 126],
        [["true"], "/no/such/directory", 127],
      ] as const) {
        const program = cluster.exec(1, argv, { cwd });
        const [complaint, { code }] = await Promise.all([text(program.stderr), program.exit]);
        assert.equal(code, status);
        assert.match(complaint, /^clusterlock lab: .*\n$/);
      }
      assert.throws(() => cluster.exec(3, ["true"]), LabOptionError);
    });

    it("survives what no system call takes", async () => {
      for (const cwd of [`/${"x".repeat(300)}`, "/a\0b"]) {
        assert.equal((await cluster.exec(1, ["true"], { cwd }).exit).code, 127);
      }
      const program = cluster.exec(1, ["cat"]);
      program.kill("SIGINFO");
      program.stdin.end("still there");
      assert.equal(await text(program.stdout), "still there");
    });

    it("keeps writes to CLUSTERLOCK_OUT and throws away all others", async () => {
      await script(1, `echo kept >"$CLUSTERLOCK_OUT/from-1"; echo lost >"${own}.not-ours"`);
      assert.equal(readFileSync(path.join(own, "from-1"), "utf8"), "kept\n");
      assert.equal(await script(2, 'cat "$CLUSTERLOCK_OUT/from-1"'), "kept\n");
      assert.equal(existsSync(`${own}.not-ours`), false);
    });

    it("has clocks that agree with this machine's", async () => {
      for (const node of cluster.nodes) {
        // read before and after, for the answer takes its time
        const before = Date.now();
        const at = Number(await script(node, "date +%s%3N"));
        assert.ok(at > before - 50 && at < Date.now() + 50, `n${node} is at ${at - before} ms`);
      }
    });

    it("loses what ran on a node whose power is cut, and goes on with the rest", async () => {
      const victim = cluster.exec(2, ["sleep", "1000"]);
      const reading = text(victim.stdout);
      await cluster.kill(2);
      assert.deepEqual(await victim.exit, { code: null, signal: null, lost: "killed" });
      assert.equal(await reading, "");
      assert.equal((await cluster.exec(2, ["true"]).exit).lost, "killed");
      const notes: string[] = [];
      const onProgress = (line: string): void => void notes.push(line);
      // it was not this command that asked for it
      assert.equal(await runOn(cluster, { command: ["true"], on: [2] }, { onProgress }), 137);
      assert.deepEqual(notes, ["n2 is off"]);
      assert.equal(await script(1, "echo alive"), "alive\n");
      assert.equal(
        progress.some((line) => line.includes("died")),
        false,
      );
    });

    it("loses what ran on a node that panics, and shows its console", async () => {
      const victim = cluster.exec(1, ["sh", "-c", "echo c >/proc/sysrq-trigger"]);
      assert.deepEqual(await victim.exit, { code: null, signal: null, lost: "died" });
      const shown = progress.slice(progress.findIndex((line) => line.startsWith("n1 died"))).join("\n");
      assert.match(shown, /Kernel panic - not syncing: sysrq triggered crash/);
      assert.match(readFileSync(path.join(own, "n1.console.log"), "utf8"), /sysrq triggered crash/);
      const [first] = (await cluster.status()).nodes;
      assert.equal(`${first?.state ?? ""} ${first?.lost ?? ""}`, "off died");
    });
  });

  describe("lab run", () => {
    it("prefixes lines, keeps results, and returns the first status that is not 0", async () => {
      const log = path.join(tmp, "made by the lab");
      const command = `echo "on $CLUSTERLOCK_NODE of $CLUSTERLOCK_NODES"; echo e >&2; printf unended
        echo x >"$CLUSTERLOCK_OUT/$CLUSTERLOCK_NODE"; [ "$CLUSTERLOCK_NODE" = 1 ] || exit 3`;
      const { status, stdout, stderr } = await labRun(tmp, [
        ...["--nodes", "2", "--stack", "none", "--fencing", "off", "--log", log, "--", "sh", "-c", command],
      ]).finished;
      assert.equal(status, 3, stderr);
      for (const node of [1, 2]) {
        const its = lines(stdout).filter((line) => line.startsWith(`[n${node}] `));
        assert.deepEqual(its, [`[n${node}] on ${node} of 2`, `[n${node}] unended`]);
        assert.equal(lines(stderr).filter((line) => line === `[n${node}] e`).length, 1);
        assert.equal(readFileSync(path.join(log, String(node)), "utf8"), "x\n");
      }
      assert.equal(lines(stdout).length, 4);
      rmSync(log, { recursive: true });
      await assertNothingLeft(tmp);
    });

    it("runs one node with a stack of its own, and another lab beside it where all modules load", async () => {
      const alone = labRun(tmp, [
        ...["--nodes", "1", "--", "sh", "-c", "dlm_tool join x >/dev/null && dlm_tool ls && dlm_tool leave x"],
      ]);
      const other = mkdtempSync("/tmp/clt-");
      const command = `set -e; for m in ${MODULES}; do modprobe $m; done; test -c /dev/misc/dlm-control; echo all; echo . >$CLUSTERLOCK_OUT/f`;
      const modules = labRun(other, ["--nodes", "1", "--stack", "none", "--", "sh", "-c", command]);
      const [first, second] = await Promise.all([alone.finished, modules.finished]);
      assert.equal(first.status, 0, first.stderr);
      assert.match(first.stdout, /^\[n1\] members\s+1 $/m);
      assert.equal(second.status, 0, second.stderr);
      assert.match(second.stdout, /^\[n1\] all$/m);
      const out = /CLUSTERLOCK_OUT is (.*)/.exec(second.stderr)?.[1] ?? "";
      assert.equal(readFileSync(path.join(out, "f"), "utf8"), ".\n");
      rmSync(out, { recursive: true });
      await assertNothingLeft(other);
      rmSync(other, { recursive: true });
      await assertNothingLeft(tmp);
    });

    it("ends with 137 when a node dies under its command", async () => {
      const command = "[ $CLUSTERLOCK_NODE = 1 ] || echo o >/proc/sysrq-trigger; sleep 2";
      const args = ["--nodes", "2", "--stack", "none", "--on", "2", "--", "sh", "-c", command];
      const { status, stderr } = await labRun(tmp, args).finished;
      assert.equal(status, 137, stderr);
      assert.match(stderr, /n2 died/);
      assert.equal(processesOf(tmp).length, 0);
    });

    it("ends with 124 when the time is over", async () => {
      const args = ["--nodes", "1", "--stack", "none", "--timeout", "0.5", "--", "sleep", "60"];
      const { status, stderr } = await labRun(tmp, args).finished;
      assert.equal(status, 124, stderr);
      assert.match(stderr, /time-out after 0.5 s; still running on n1/);
      // the logs of what went wrong are kept
      const [kept = ""] = readdirSync(tmp);
      assert.deepEqual(readdirSync(path.join(tmp, kept)).sort(), ["n1.console.log", "n1.system.log"]);
      rmSync(path.join(tmp, kept), { recursive: true });
      await assertNothingLeft(tmp);
    });

    it("ends with 125 and one line when something is missing", async () => {
      const { status, stderr } = await labRun(tmp, ["--", "true"], { PATH: "/nowhere" }).finished;
      assert.equal(status, 125);
      assert.match(stderr, /^clusterlock lab: .* is missing: apt-get install .*\n$/);
    });

    it("ends with 125 and one line when it is told to use what does not exist", async () => {
      const { status, stderr } = await labRun(tmp, ["--", "true"], { CLUSTERLOCK_LAB_ACCEL: "wrong" }).finished;
      assert.equal(status, 125);
      assert.match(stderr, /^clusterlock lab: .*set it to kvm or tcg.*\n$/);
    });

    it("ends with 125 when a node does not boot, shows its console once and keeps it", async () => {
      const bin = mkdtempSync("/tmp/clt-");
      const qemu = `#!/bin/sh
        [ "$1" != --version ] || exec echo "QEMU emulator version 7.2.0"
        echo "step: kernel is up"; echo "Kernel panic - not syncing: no luck"; echo "qemu: no good" >&2; exit 1`;
      writeFileSync(path.join(bin, "qemu-system-x86_64"), qemu, { mode: 0o755 });
      const env = { PATH: `${bin}:${process.env.PATH ?? ""}`, CLUSTERLOCK_LAB_ACCEL: "tcg" };
      const { status, stderr } = await labRun(tmp, ["--nodes", "1", "--", "true"], env).finished;
      rmSync(bin, { recursive: true });
      assert.equal(status, 125);
      assert.equal(stderr.split(":   Kernel panic - not syncing: no luck").length, 2, stderr);
      assert.match(stderr, /n1 went off while it booted \(Kernel panic - not syncing: no luck\)\n$/);
      const kept = /all in (.*)\/n1\.console\.log/.exec(stderr)?.[1] ?? "";
      assert.deepEqual(readdirSync(tmp), [path.basename(kept)]);
      assert.deepEqual(processesOf(tmp), []);
    });

    it("ends with 64 and one line when it is called wrongly", async () => {
      for (const args of [
        ["--stack", "o2cb", "--fencing", "off", "--", "true"],
        ["--disk", "lots", "--", "true"],
        ["--log", "", "--", "true"],
        ["--log", CLI, "--", "true"],
        ["--nodes", "2"],
        ["--", ""],
      ]) {
        const { status, stderr } = await labRun(tmp, args).finished;
        assert.equal(status, 64, args.join(" "));
        assert.match(stderr, /^clusterlock lab: .*\n$/);
      }
    });

    for (const [signal, expected] of [
      ["SIGINT", 130],
      ["SIGKILL", null],
    ] as const) {
      it(`leaves nothing behind after ${signal} under its command`, async () => {
        const lab = labRun(tmp, ["--nodes", "1", "--stack", "none", "--", "sh", "-c", "echo runs; sleep 60"]);
        await lab.printed("[n1] runs");
        assert.ok(processesOf(tmp).length > 0);
        lab.child.kill(signal);
        assert.equal((await lab.finished).status, expected);
        await assertNothingLeft(tmp);
      });
    }

    it("leaves nothing behind after SIGTERM while it boots", async () => {
      const lab = labRun(tmp, ["--nodes", "2", "--", "true"]);
      while (processesOf(tmp).length < 2) {
        assert.equal(lab.child.exitCode, null, "it ended before it booted");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      lab.child.kill("SIGTERM");
      assert.equal((await lab.finished).status, 143);
      await assertNothingLeft(tmp);
    });
  });
});
