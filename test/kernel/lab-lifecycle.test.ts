// How labs begin and end, whatever happens to whom.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { text } from "node:stream/consumers";

import { openCluster } from "./support/cluster";
import { assertNothingLeft, lab, labRun, processesOf } from "./support/lab-run";
import { rounds } from "../rounds";

const RUNS = rounds(10, 3);

describe("lab: its beginning and its end", function () {
  this.timeout(300_000);
  let tmp: string;

  beforeEach(() => {
    tmp = mkdtempSync("/tmp/clt-");
  });
  afterEach(() => {
    rmSync(tmp, { recursive: true, force: true });
  });

  const mounts = (): string => readFileSync("/proc/self/mounts", "utf8");
  const sockets = (): string[] =>
    readFileSync("/proc/net/unix", "utf8")
      .split("\n")
      .filter((line) => line.includes(tmp));

  it(`${RUNS} runs in a row leave no process, socket, mount or directory`, async () => {
    const before = mounts();
    for (let run = 0; run < RUNS; run++) {
      const args = ["--nodes", "1", "--stack", "none", "--disk", "1M", "--", "true"];
      const { status, stderr } = await labRun(tmp, args).finished;
      assert.equal(status, 0, stderr);
    }
    await assertNothingLeft(tmp);
    assert.deepEqual(sockets(), []);
    assert.equal(mounts(), before);
  });

  it("a lab that is kept outlives who began it, and ends when it is told to", async () => {
    const begun = await lab(tmp, ["up", "--nodes", "1", "--stack", "none"]).finished;
    assert.equal(begun.status, 0, begun.stderr);
    assert.ok(processesOf(tmp).length > 0);
    const seen = await lab(tmp, ["exec", "--", "hostname"]).finished;
    assert.deepEqual([seen.status, seen.stdout], [0, "[n1] node1\n"], seen.stderr);
    const two = await lab(tmp, ["up", "--nodes", "1", "--stack", "none", "--name", "other"]).finished;
    assert.equal(two.status, 0, two.stderr);
    const which = await lab(tmp, ["exec", "--", "hostname"]).finished;
    assert.equal(which.status, 125);
    assert.match(which.stderr, /several labs are up \(.*\): say which by --name/);
    assert.equal((await lab(tmp, ["down", "--name", "other"]).finished).status, 0);
    const under = lab(tmp, ["exec", "--", "sh", "-c", "echo runs; sleep 60"]);
    await under.printed("[n1] runs");
    assert.equal((await lab(tmp, ["down"]).finished).status, 0);
    // a lab that ends under a command is no success
    assert.ok([125, 137].includes((await under.finished).status ?? 0));
    await assertNothingLeft(tmp);
    const none = await lab(tmp, ["kill", "1"]).finished;
    assert.equal(none.status, 125);
    assert.match(none.stderr, /no lab is up/);
    assert.match((await lab(tmp, ["status"]).finished).stdout, /^no lab is up$/m);
  });

  it("the death of the lab's own process takes all with it, and its caller is told", async () => {
    const begun = labRun(tmp, ["--nodes", "1", "--stack", "none", "--", "sh", "-c", "echo runs; sleep 60"]);
    await begun.printed("[n1] runs");
    const keeper = Number(
      readdirSync("/proc").find((pid) => {
        if (!/^\d+$/.test(pid)) return false;
        try {
          const [command, status] = ["cmdline", "status"].map((name) => readFileSync(`/proc/${pid}/${name}`, "utf8"));
          return command!.includes("keeper/main.js") && status!.includes(`\nPPid:\t${begun.child.pid ?? 0}\n`);
        } catch {
          return false;
        }
      }),
    );
    process.kill(keeper, "SIGKILL");
    const { status } = await begun.finished;
    assert.ok(status !== 0);
    await assertNothingLeft(tmp);
  });

  it("a caller that does nothing for eight seconds is no partition", async () => {
    await using cluster = await openCluster({ nodes: 2, stack: "dlm" });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 8000);
    const read = async (command: string): Promise<string> => text(cluster.exec(1, ["sh", "-c", command]).stdout);
    assert.match(await read("corosync-quorumtool -s"), /^Nodes: +2$/m);
    assert.doesNotMatch(await read("cat /var/log/corosync/corosync.log"), /left|failed|lost/i);
  });
});
