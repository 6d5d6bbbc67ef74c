import assert from "node:assert/strict";
import path from "node:path";

import type { Lockspace } from "../../lib/dlm";
import type * as door from "../../lib/dlm/dev/dev";
import type { DevResult, DevStatus } from "../../lib/dlm/dev/dev";
import type { NodeContext } from "./support/shell";
import { Suite } from "./support/suite";

type Door = typeof door;

/** Creations and removals that a later call is to see end. */
type Pending = NodeContext & { pending: Promise<unknown>[] };

const CLI = path.resolve(__dirname, "../../dist/cli/main.js");
const DOOR = path.resolve(__dirname, "../../dist/dlm/dev/dev.js");
const TOOK_OVER = "took over from a controller that had died";

// A machine that is in no cluster, and the controller that lets it have lockspaces all the same.
describe("clusterlock dev", function () {
  this.timeout(60_000);
  const suite = Suite.on(1, "none");

  // the command as a user runs it
  const cli = (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    suite.run(1, process.execPath, CLI, "dev", ...args);
  const sh = (script: string): ReturnType<typeof cli> => suite.run(1, "sh", "-c", script);

  // what is behind it, without a new process for each step: slow on an emulated processor
  type Outcome = Partial<DevResult> & { code?: string; message?: string };
  const dev = (verb: "devUp" | "devDown", times = 1): Promise<Outcome[]> =>
    suite.shell(1).call(
      async (_, file, name, count) => {
        const door = process.getBuiltinModule("node:module").createRequire(file)(file) as Record<
          typeof name,
          () => Promise<DevResult>
        >;
        const attempt = async (): Promise<Outcome> => {
          try {
            return await door[name]();
          } catch (error) {
            const { code, message } = error as { code: string; message: string };
            return { code, message };
          }
        };
        return Promise.all(Array.from({ length: count }, attempt));
      },
      DOOR,
      verb,
      times,
    );
  const status = (): Promise<DevStatus> =>
    suite
      .shell(1)
      .call((_, file) => (process.getBuiltinModule("node:module").createRequire(file)(file) as Door).devStatus(), DOOR);

  async function succeeds(verb: "devUp" | "devDown", already = false, note?: string): Promise<void> {
    const [outcome] = await dev(verb);
    assert.equal(outcome?.message, undefined);
    assert.deepEqual([outcome?.already, outcome?.note], [already, note]);
  }

  async function refuses(verb: "devUp" | "devDown", why: RegExp): Promise<void> {
    const [outcome] = await dev(verb);
    assert.equal(outcome?.code, "ERR_DEV_REFUSED");
    assert.match(outcome.message ?? "", why);
  }

  async function isClean(): Promise<void> {
    const left = await sh(
      "ls -d /sys/kernel/config/dlm /sys/module/dlm /sys/kernel/dlm/* /run/clusterlock/dev.* 2>/dev/null",
    );
    assert.equal(left.stdout, "");
    assert.equal((await sh("pgrep -f dlm/dev/[m]ain.js")).stdout, "");
  }

  // each test goes on where the one before it ended
  this.bail(true);

  it("up: lockspaces come, work and go on a machine that had not even the module", async () => {
    await isClean();
    assert.equal((await status()).state, "down");
    const { code, stderr } = await cli("up");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /up, process \d+. It fences nobody/);
    const seen = await suite.shell(1).call(async (node) => {
      const ls = await node.Lockspace.open("solo", { create: true });
      const lock = await ls.lock("r", { lvb: Buffer.from("value") });
      await lock.convert("PR");
      const reader = await ls.lock("r", { mode: "PR", lvb: true });
      const refused = await ls.tryLock("r");
      const told = Buffer.from(reader.lvb ?? [])
        .toString()
        .replace(/\0+$/, "");
      await lock.release();
      await reader.release();
      await ls.close();
      await node.Lockspace.remove("solo");
      // and again by the same name
      await (await node.Lockspace.open("solo", { create: true })).close();
      await node.Lockspace.remove("solo");
      return [told, refused];
    });
    assert.deepEqual(seen, ["value", null]);
    await succeeds("devUp", true);
    assert.equal((await status()).state, "up");
  });

  it("lockspaces that come in pairs and go again never wait in vain", async () => {
    await suite.shell(1).call(async (node) => {
      const names = ["left", "right"];
      for (let round = 0; round < 10; round++) {
        const options = { create: true, signal: AbortSignal.timeout(20_000) };
        const pair = await Promise.all(names.map((name) => node.Lockspace.open(name, options)));
        await Promise.all(pair.map((ls) => ls.close()));
        for (const name of names) await node.Lockspace.remove(name);
      }
    });
    assert.deepEqual((await status()).lockspaces, []);
    assert.equal((await sh("ls /sys/kernel/config/dlm/cluster/spaces")).stdout, "");
  });

  it("down refuses while there are lockspaces, and names who has them open", async () => {
    const pid = await suite.shell(1).call(async (node) => {
      node.ls = await node.Lockspace.open("busy", { create: true });
      return process.pid;
    });
    await refuses("devDown", new RegExp(`lockspaces are left: busy \\(open in node \\(process ${pid}\\)\\)`));
    await suite.shell(1).call((node) => node.ls.close());
    const { code, stderr } = await cli("down");
    assert.equal(code, 69);
    assert.match(stderr, /busy \(open nowhere/);
    // refused, and therefore still at work
    await suite.shell(1).call((node) => node.Lockspace.remove("busy"));
  });

  it("killed: locks go on, and who waited for it is answered by the next", async () => {
    await suite.shell(1).call(async (node) => {
      node.ls = await node.Lockspace.open("kept", { create: true });
      await (await node.Lockspace.open("going", { create: true })).close();
    });
    const { pid } = await status();
    await suite.shell(1).call((_, victim) => process.kill(victim!, "SIGKILL"), pid);
    const waiting = await suite.shell(1).call(async (node) => {
      await (await node.ls.lock("r")).release();
      const gone = { coming: false, going: false };
      const coming = node.Lockspace.open("coming", { create: true });
      void coming.then(() => (gone.coming = true));
      await node.until("it waits to join", () => node.fs.existsSync("/sys/kernel/dlm/coming"));
      // a second one waits behind the first, where the kernel lets in one at a time
      const going = node.Lockspace.remove("going");
      void going.then(() => (gone.going = true));
      await node.sleep(500);
      (node as Pending).pending = [coming, going];
      return gone;
    });
    assert.deepEqual(waiting, { coming: false, going: false });
    assert.equal((await status()).state, "dead");
    await succeeds("devUp", false, TOOK_OVER);
    await suite.shell(1).call(async (node) => {
      const [coming] = (await Promise.all((node as Pending).pending)) as [Lockspace, undefined];
      await (await node.ls.lock("r")).release();
      await (await coming.lock("r")).release();
      await coming.close();
      await node.ls.close();
      await node.Lockspace.remove("coming");
      await node.Lockspace.remove("kept");
    });
    assert.deepEqual((await status()).lockspaces, []);
  });

  it("killed while a lockspace ends: the next one lets it go", async () => {
    await suite.shell(1).call(async (node) => {
      await (await node.Lockspace.open("ends", { create: true })).close();
    });
    const { pid } = await status();
    await suite.shell(1).call(async (node, victim) => {
      process.kill(victim!, "SIGKILL");
      (node as Pending).pending = [node.Lockspace.remove("ends")];
      await node.until("it has no device", () => !node.fs.existsSync("/sys/class/misc/dlm_ends"));
    }, pid);
    await succeeds("devUp", false, TOOK_OVER);
    await suite.shell(1).call(async (node) => {
      await Promise.all((node as Pending).pending);
      await (await node.Lockspace.open("ends", { create: true })).close();
      await node.Lockspace.remove("ends");
    });
  });

  it("down leaves nothing behind, after a kill too", async () => {
    await succeeds("devDown");
    await isClean();
    await succeeds("devDown", true);
    await succeeds("devUp");
    await sh(`kill -9 ${(await status()).pid}`);
    await succeeds("devDown");
    await isClean();
  });

  it("two that come up at once are one", async () => {
    const outcomes = await dev("devUp", 3);
    assert.deepEqual(outcomes.map(({ already }) => already).sort(), [false, true, true]);
    await succeeds("devDown");
    await isClean();
  });

  it("refuses beside dlm_controld, over another's configuration and without root", async () => {
    await sh("cp $(command -v sleep) /tmp/dlm_controld && { setsid /tmp/dlm_controld 1000 >/dev/null 2>&1 & }");
    await refuses("devUp", /this machine is a cluster node: dlm_controld \(process \d+\)/);
    await sh("kill $(pgrep -x dlm_controld)");
    await isClean();
    await sh("modprobe dlm && cd /sys/kernel/config/dlm && mkdir cluster && printf lab >cluster/cluster_name");
    await refuses("devUp", /configured already, as a node of cluster "lab"/);
    await sh("rmdir /sys/kernel/config/dlm/cluster && modprobe -r dlm");
    const user = await suite.run(1, "setpriv", "--reuid=65534", "--clear-groups", process.execPath, CLI, "dev", "up");
    assert.equal(user.code, 77, user.stderr);
    assert.match(user.stderr, /needs root/);
    await isClean();
  });

  it("says so when dlm_controld was there since the module was loaded", async () => {
    await sh("modprobe dlm && : </dev/dlm-monitor");
    await refuses("devUp", /modprobe -r dlm/);
    await sh("modprobe -r dlm");
    await isClean();
  });
});
