// Faults on demand: from the host, from another process, and from inside the nodes.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

import type { Cluster } from "../../lib/lab";
import { attach, LabError, LabOptionError, runningLabs, runOn, up } from "../../lib/lab";

import { openCluster } from "./support/cluster";

const CLI = path.resolve(__dirname, "../../dist/cli/main.js");

describe("lab: faults", function () {
  this.timeout(180_000);
  let cluster: Cluster;
  let out: string;
  const name = `faults-${process.pid}`;
  const said: string[] = [];

  async function sh(node: number, script: string): Promise<string> {
    const child = cluster.exec(node, ["sh", "-c", script]);
    child.stdin.end();
    const [printed, complaint, { code }] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
    assert.equal(code, 0, complaint);
    return printed;
  }

  /** Percent of pings lost, and the mean time of the others in ms. */
  async function ping(from: number, to: number, count = 5): Promise<{ lost: number; ms: number }> {
    const shown = await sh(from, `ping -q -c ${count} -i 0.1 -W 1 10.0.0.${to} || true`);
    return {
      lost: Number(/([\d.]+)% packet loss/.exec(shown)?.[1]),
      ms: Number(/= [\d.]+\/([\d.]+)/.exec(shown)?.[1]),
    };
  }

  /** `clusterlock lab ...` in a process of its own. */
  async function cli(...args: string[]): Promise<string> {
    return (await promisify(execFile)(process.execPath, [CLI, "lab", ...args, "--name", name])).stdout;
  }

  before(async () => {
    out = mkdtempSync("/tmp/clt-");
    cluster = await openCluster({ nodes: 3, stack: "none", name, log: out, onProgress: (line) => said.push(line) });
  });
  after(async () => {
    await cluster.down();
    assert.deepEqual((await runningLabs()).includes(name), false);
    rmSync(out, { recursive: true });
  });

  it("partition cuts groups from each other and no others, heal ends it", async () => {
    assert.equal((await ping(1, 2)).lost, 0);
    await cluster.partition([[1]]);
    assert.deepEqual((await cluster.status()).partition, [[1], [2, 3]]);
    assert.equal((await ping(1, 2)).lost, 100);
    assert.equal((await ping(2, 3)).lost, 0);
    // the control channel is another thing
    assert.equal(await sh(1, "echo there"), "there\n");
    await cluster.heal();
    assert.equal((await ping(1, 2)).lost, 0);
    assert.equal((await cluster.status()).partition, null);
  });

  it("loss and delay are for one link", async () => {
    await cluster.delay([1, 2], 150);
    const { ms } = await ping(1, 2);
    assert.ok(ms >= 300, `${ms} ms`);
    assert.ok((await ping(1, 3)).ms < 300);
    await cluster.delay([1, 2], 0);
    await cluster.loss([1, 2], 50);
    const { lost } = await ping(2, 1, 60);
    // a ping comes back with probability 1/4; 60 of them: 45 lost +- 5 standard deviations
    assert.ok(lost > 46 && lost < 99, `${lost} %`);
    assert.deepEqual((await cluster.status()).links, [{ link: [1, 2], loss: 50, delay: 0 }]);
    assert.equal((await ping(1, 3)).lost, 0);
    await cluster.heal();
    assert.equal((await ping(1, 2)).lost, 0);
  });

  it("a frozen node is silent and loses nothing but time", async () => {
    const counting = cluster.exec(2, ["sh", "-c", "echo begun; read word; echo $word"]);
    await new Promise((resolve) => counting.stdout.once("data", resolve));
    await cluster.freeze(2);
    assert.equal((await cluster.status()).nodes[1]?.state, "frozen");
    assert.equal((await ping(1, 2)).lost, 100);
    counting.stdin.end("later\n");
    let ended = false;
    void counting.exit.then(() => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(ended, false);
    await cluster.thaw(2);
    assert.equal(await text(counting.stdout), "later\n");
    assert.equal((await ping(1, 2)).lost, 0);
  });

  it("a node is killed and started again, with nothing of what was in it", async () => {
    await sh(3, "touch /was-here");
    const running = cluster.exec(3, ["sleep", "1000"]);
    await cluster.kill(3);
    assert.equal((await running.exit).lost, "killed");
    assert.equal((await cluster.status()).nodes[2]?.state, "off");
    // once more is not an error
    await cluster.kill(3);
    await cluster.start(3);
    assert.equal(await sh(3, "test ! -e /was-here; echo $?"), "0\n");
    assert.equal((await ping(1, 3)).lost, 0);
    await assert.rejects(cluster.start(3), /n3 is on already/);
    // its console goes on where it was
    assert.equal((await cluster.console(3)).split("step: kernel is up").length, 3);
  });

  it("a kill ends a boot, and the boot says so", async () => {
    await cluster.kill(3);
    const boot = cluster.start(3);
    boot.catch(() => undefined);
    await cluster.kill(3);
    await assert.rejects(
      boot,
      (error) => error instanceof LabError && /n3 went off while it booted/.test(error.message),
    );
    await cluster.start(3);
  });

  describe("a node's fence agent", () => {
    const AGENT = path.resolve(__dirname, "../../scripts/lab/fence-agent");
    const fence = async (victim: string): Promise<string> =>
      sh(1, `printf 'node=x\\nplug=${victim}\\n' | ${AGENT} 2>&1; echo " $?"`);
    const state = async (node: number): Promise<string> => {
      const found = (await cluster.status()).nodes[node - 1]!;
      return `${found.state} ${found.lost ?? ""}`.trim();
    };

    it("has a frozen node off before it says so", async () => {
      await cluster.freeze(3);
      const running = cluster.exec(3, ["true"]);
      assert.equal(await fence("3"), " 0\n");
      assert.equal(await state(3), "off fenced");
      assert.equal((await running.exit).lost, "fenced");
      // it is off, so that is done
      assert.equal(await fence("3"), " 0\n");
    });

    it("lets a node boot that was off before", async () => {
      const boot = cluster.start(3);
      assert.equal(await fence("3"), " 0\n");
      await boot;
      assert.equal(await state(3), "up");
    });

    it("has a node off whose boot has failed", async () => {
      await cluster.kill(3);
      await assert.rejects(cluster.start(3, { timeout: 500 }), /waited 0.5 s for n3 to boot in vain/);
      assert.equal(await state(3), "failed");
      await assert.rejects(cluster.start(3), /its stack did not come up: kill it first/);
      assert.equal(await fence("3"), " 0\n");
      assert.equal(await state(3), "off fenced");
      await cluster.start(3);
    });

    it("fails when there is no such node", async () => {
      assert.match(await fence("4"), /^fence-agent: there is no node 4 in this cluster\n 1\n$/);
      assert.match(await fence("x"), / 1\n$/);
    });
  });

  it("another process of this machine has the same verbs", async () => {
    const found = await attach(name);
    await found.partition([[1], [2, 3]]);
    await found[Symbol.asyncDispose]();
    const [status] = JSON.parse(await cli("status", "--json")) as [{ name: string; partition: number[][] }];
    assert.equal(status.name, name);
    assert.deepEqual(status.partition, [[1], [2, 3]]);
    await cli("heal");
    await cli("loss", "1-2", "10%");
    await cli("delay", "all", "5ms");
    assert.match(await cli("status"), /link 1-2 {2}loss 10 %, delay 5 ms/);
    await cli("heal");
    await cli("freeze", "2");
    await cli("thaw", "2");
    assert.match(await cli("console", "1"), /step: kernel is up/);
    assert.equal(
      (await promisify(execFile)(process.execPath, [CLI, "lab", "exec", "--name", name, "2", "hostname"])).stdout,
      "[n2] node2\n",
    );
    // and what it let go of goes on
    assert.equal((await ping(1, 2)).lost, 0);
  });

  it("a node's program cuts the link it is about to use, and starts a node that it killed", async () => {
    const program = `
      const { attach } = require(${JSON.stringify(path.resolve(__dirname, "../../dist/lab"))});
      (async () => {
        const lab = await attach();
        console.log(lab.nodes.join(), (await lab.status()).stack);
        await lab.partition([[1], [2, 3]]);
        const ping = lab.exec(1, ["ping", "-q", "-c1", "-W1", "10.0.0.2"]);
        ping.stdout.resume();
        console.log((await ping.exit).code);
        await lab.heal();
        await lab.kill(2);
        await lab.start(2);
        const { nodes } = await lab.status();
        console.log(nodes.map(({ state }) => state).join());
      })();`;
    const child = cluster.exec(1, [process.execPath, "-e", program]);
    child.stdin.end();
    const [printed, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
    assert.equal(printed, "1,2,3 none\n1\nup,up,up\n", complaint);
  });

  it("a command fails whose node somebody switches off, and not when it does so itself", async () => {
    const own = `${process.execPath} ${CLI} lab kill 2`;
    await runOn(cluster, {
      command: ["sh", "-c", `[ $CLUSTERLOCK_NODE = 2 ] && sleep 100 || ${own}`],
      on: [1, 2],
    }).then((status) => {
      assert.equal(status, 0);
    });
    await cluster.start(2);
    const other = runOn(cluster, { command: ["sleep", "100"], on: [2] });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await cluster.kill(2);
    assert.equal(await other, 137);
    await cluster.start(2);
  });

  it("the shell's verbs work in a node, too", async () => {
    const shown = await sh(2, `${process.execPath} ${CLI} lab status; ${process.execPath} ${CLI} lab freeze 3`);
    assert.match(shown, new RegExp(`^lab ${name}: stack none`));
    assert.equal((await cluster.status()).nodes[2]?.state, "frozen");
    await cluster.thaw(3);
  });

  it("what does not exist is refused in one line", async () => {
    for (const wrong of [
      cluster.kill(4),
      cluster.partition([[1], [1]]),
      cluster.partition([]),
      cluster.loss([1, 1], 5),
      cluster.loss([1, 2], 101),
      cluster.delay([1, 2], -1),
    ]) {
      await assert.rejects(wrong, (error) => error instanceof LabOptionError && !error.message.includes("\n"));
    }
    await assert.rejects(attach("no-such-lab"), /there is no lab named no-such-lab/);
    await assert.rejects(up({ nodes: 1, stack: "none", name }), /a lab named .* is up already/);
  });

  it("keeps what its nodes logged", () => {
    assert.ok(said.some((line) => line.includes("the network is cut: 1 / 2,3")));
    const log = path.join(out, "n1.system.log");
    assert.ok(existsSync(log));
    assert.match(readFileSync(log, "utf8"), /Linux version/);
  });
});
