// Programs built against Debian's libdlm and ours in one lockspace: neither can tell the other from its own kind.

import assert from "node:assert/strict";
import path from "node:path";

import type { Cluster } from "../../../lib/lab";
import type { LockMode } from "../../../lib/modes";
import { openCluster } from "../support/cluster";
import { kernelComplaints } from "../support/kernel-log";
import { command, Shell } from "../support/shell";

import { buildPeer, Peer, textOf } from "./peer";
import { clusterlock, libdlm, type Side } from "./sides";

const LS = "mixed";
const R = "r";
const WRITES = path.join(__dirname, "../programs/writes.cjs");

// Rows: held; columns: asked, from NL to EX. Source: fs/dlm/lock.c, `__dlm_compat_matrix`.
const MODES: readonly LockMode[] = ["NL", "CR", "CW", "PR", "PW", "EX"];
const COMPATIBLE = { NL: "111111", CR: "111110", CW: "111000", PR: "110100", PW: "110000", EX: "100000" };

/** Asks for every mode while every mode is held: "1" was granted at once, "0" when the holder let go and not before. */
async function table(holder: Side, asker: Side): Promise<Record<string, string>> {
  const rows: Record<string, string> = {};
  for (const held of MODES) {
    rows[held] = "";
    for (const asked of MODES) {
      await holder.hold(R, held);
      const atOnce = await asker.tries(R, asked);
      rows[held] += atOnce ? "1" : "0";
      if (atOnce) {
        await holder.release();
        continue;
      }
      let granted = false;
      const waiting = asker.waits(R, asked).then(() => (granted = true));
      assert.ok([undefined, asked].includes(await holder.blocked()));
      assert.equal(granted, false, `${asked} beside ${held}`);
      await holder.release();
      await waiting;
    }
  }
  return rows;
}

describe("libdlm's programs and ours", function () {
  this.timeout(120_000);
  // Processes take long to start on an emulated node: ours last from test to test, and the nodes stay members.
  let cluster: Cluster;
  let shells: Shell[] = [];
  // libdlm's program, on node 1; a second one where a test starts it
  let peer: Peer;
  const shell = (node: number): Shell => shells[node - 1]!;

  before(async function () {
    this.timeout(600_000);
    buildPeer();
    cluster = await openCluster({ nodes: 2, stack: "dlm" });
    shells = cluster.nodes.map((node) => new Shell(cluster, node));
  });
  after(async () => {
    if (shells.length === 0) return;
    await Promise.all(shells.map(async (each) => each.end()));
    try {
      const complaints = await Promise.all(cluster.nodes.map(async (node) => kernelComplaints(cluster, node)));
      assert.deepEqual([...complaints.flat(), ...shells.flatMap((each) => each.complaints)], []);
    } finally {
      await cluster.down();
    }
  });
  beforeEach(async () => {
    for (const each of shells) {
      await each.call(async (node, name) => {
        node.ls = await node.Lockspace.open(name, { create: true });
      }, LS);
    }
    peer = new Peer(cluster, 1);
    await peer.open(LS);
  });
  afterEach(async () => {
    await peer.end();
    for (const each of shells) await each.call(async (node) => node.ls.close());
    for (const each of shells) {
      await each.call(async (node, name) => {
        await node.until("no lock is left", () => node.kernelLocks(name).length === 0, 5000);
      }, LS);
    }
  });

  describe("exclude each other in all 36 pairs of modes", () => {
    for (const keeps of ["libdlm", "ours"] as const) {
      for (const holds of ["libdlm", "ours"] as const) {
        it(`across nodes: ${holds} holds, ${keeps === "ours" ? "our" : "libdlm's"} node is the master`, async () => {
          const sides = { libdlm: libdlm(peer), ours: clusterlock(shell(2)) };
          await sides[keeps].keep(R);
          assert.deepEqual(await table(sides[holds], sides[holds === "ours" ? "libdlm" : "ours"]), COMPATIBLE);
        });
      }
    }

    it("on one node", async () => {
      const [theirs, ours] = [libdlm(peer), clusterlock(shell(1))];
      assert.deepEqual(await table(theirs, ours), COMPATIBLE);
      assert.deepEqual(await table(ours, theirs), COMPATIBLE);
    });
  });

  for (const keeps of ["libdlm", "ours"] as const) {
    describe(`exchange values, with ${keeps === "ours" ? "our" : "libdlm's"} node as the master`, () => {
      const ours = (): Shell => shell(2);
      const weRead = async (): Promise<[string, boolean | undefined]> => {
        const [hex, valid] = await ours().call(async (node, name) => {
          const lock = await node.ls.lock(name, { mode: "PR", lvb: true, signal: AbortSignal.timeout(20_000) });
          await lock.release();
          return [Buffer.from(lock.lvb ?? []).toString("hex"), lock.lvbValid] as const;
        }, R);
        assert.equal(hex.length, 64);
        return [textOf(hex), valid];
      };
      const theyRead = async (by: Peer = peer): Promise<[string, boolean]> => {
        const { status, lvb, valid } = await by.lock(1).request(R, "PR", ["VALBLK"]);
        assert.equal(status, 0);
        await by.lock(1).unlock();
        return [textOf(lvb), valid];
      };

      beforeEach(async () => {
        await { libdlm: libdlm(peer), ours: clusterlock(ours()) }[keeps].keep(R);
      });

      it("what libdlm's program writes on its way down, ours reads", async () => {
        for (const [from, to] of [
          ["EX", "NL"],
          ["PW", "CR"],
          ["EX", "PR"],
        ] as const) {
          const lock = peer.lock(0);
          assert.equal((await lock.request(R, from, ["VALBLK"])).status, 0);
          assert.equal((await lock.convert(to, ["VALBLK"], `${from} to ${to}: all 32 of its bytes!!`)).status, 0);
          assert.deepEqual(await weRead(), [`${from} to ${to}: all 32 of its bytes!!`, true]);
          assert.equal((await lock.unlock()).status, "EUNLOCK");
        }
      });

      it("what ours writes, by a conversion and by a release, libdlm's program reads", async () => {
        await ours().call(async (node, name) => {
          const lock = await node.ls.lock(name, { lvb: Buffer.from("by a conversion, of all 32 bytes") });
          node.locks["writer"] = await lock.convert("NL");
        }, R);
        assert.deepEqual(await theyRead(), ["by a conversion, of all 32 bytes", true]);
        await ours().call(async (node) => {
          const lock = await node.locks["writer"]?.convert("PW");
          await lock?.release({ lvb: Buffer.from("by a release, of 32 bytes in all") });
        });
        assert.deepEqual(await theyRead(), ["by a release, of 32 bytes in all", true]);
      });

      for (const way of ["conversion", "unlock"] as const) {
        it(`what libdlm's program invalidates by ${way} is not valid for ours, until ours writes`, async () => {
          const lock = peer.lock(0);
          await lock.request(R, "EX", ["VALBLK"]);
          await lock.convert("EX", ["VALBLK"], "before");
          if (way === "conversion") await lock.convert("NL", ["IVVALBLK"]);
          else await lock.unlock(["IVVALBLK"]);
          assert.deepEqual(await weRead(), ["before", false]);
          assert.deepEqual(await theyRead(), ["before", false]);
          await ours().call(async (node, name) => {
            await (await node.ls.lock(name, { mode: "PW" })).release({ lvb: Buffer.from("after") });
          }, R);
          assert.deepEqual(await theyRead(), ["after", true]);
          assert.deepEqual(await weRead(), ["after", true]);
        });
      }

      it("what libdlm's program held when it was killed is not valid for ours", async () => {
        const victim = new Peer(cluster, 1);
        await victim.open(LS);
        await victim.lock(0).request(R, "EX", ["VALBLK"]);
        await victim.lock(0).convert("EX", ["VALBLK"], "half done");
        const waiting = weRead();
        await victim.lock(0).blocked();
        await victim.end("SIGKILL");
        assert.deepEqual(await waiting, ["half done", false]);
      });

      it("what ours held when it was killed is not valid for libdlm's program", async () => {
        await ours().call(
          async (node, ...[name, resource, program]) => {
            const child = node.childProcess.fork(program, [name, resource], { stdio: "ignore" });
            await new Promise((resolve) => child.once("message", resolve));
            node.children.push(child);
          },
          LS,
          R,
          WRITES,
        );
        assert.equal((await peer.lock(1).request(R, "PR", ["NOQUEUE"])).status, "EAGAIN");
        const waiting = theyRead();
        const killed = await ours().call((node) => node.children.splice(0).map((child) => child.kill("SIGKILL")));
        assert.deepEqual([await waiting, killed], [["half done", false], [true]]);
      });
    });
  }

  describe("give way to each other", () => {
    it("libdlm's program is told of ours, and makes room by a conversion", async () => {
      const holder = peer.lock(0);
      await holder.request(R, "EX", ["VALBLK"]);
      const granted = shell(2).call(async (node, name) => {
        const lock = await node.ls.lock(name, { mode: "PR", lvb: true, signal: AbortSignal.timeout(20_000) });
        return [lock.mode, Buffer.from(lock.lvb ?? []).toString("hex")] as const;
      }, R);
      await holder.blocked();
      assert.equal((await holder.convert("PR", ["VALBLK"], "after you")).status, 0);
      const [mode, lvb] = await granted;
      assert.deepEqual([mode, textOf(lvb)], ["PR", "after you"]);
    });

    it("ours is told of libdlm's program, and makes room in onBlocking", async () => {
      await shell(2).call(async (node, name) => {
        const told: string[] = [];
        const lock = await node.ls.lock(name, {
          lvb: Buffer.from("after you"),
          onBlocking: (mode, blocking) => {
            told.push(mode);
            void blocking.convert(mode === "PR" ? "PR" : "NL");
          },
        });
        node.locks["held"] = Object.assign(lock, { told });
      }, R);
      const { status, lvb, valid } = await peer.lock(0).request(R, "PR", ["VALBLK"]);
      assert.deepEqual([status, textOf(lvb), valid], [0, "after you", true]);
      assert.equal((await peer.lock(0).convert("EX", ["VALBLK"])).status, 0);
      const seen = await shell(2).call((node) => {
        const lock = node.locks["held"];
        return [lock?.mode, (lock as unknown as { told: string[] }).told];
      });
      assert.deepEqual(seen, ["NL", ["PR", "EX"]]);
    });
  });

  describe("share a lockspace, whoever made it", () => {
    const OTHER = "other";

    /** Both programs of node 1 have it open: they exclude each other there. */
    async function isShared(): Promise<void> {
      const guest = new Peer(cluster, 1);
      await guest.open(OTHER);
      await guest.lock(0).request(R, "PR");
      const refused = await shell(1).call(
        async (node, ...[name, resource]) => {
          const ls = await node.Lockspace.open(name);
          const refused = (await ls.tryLock(resource)) === null;
          await ls.close();
          return refused;
        },
        OTHER,
        R,
      );
      assert.ok(refused);
      await guest.end();
    }

    const weRemove = (): Promise<string> =>
      shell(1).call(
        async (node, name) =>
          node.Lockspace.remove(name).then(
            () => "left",
            (error: unknown) => JSON.stringify((error as { holders?: number[] }).holders),
          ),
        OTHER,
      );

    it("dlm_create_lockspace() makes it: ours opens it, does not leave while that has it open, and leaves", async () => {
      const maker = new Peer(cluster, 1);
      await maker.create(OTHER);
      await isShared();
      const pid = (await command(cluster, 1, ["pgrep", "-x", "peer"])).stdout.trim().split("\n").map(Number);
      assert.ok(pid.includes(Number(/^\[(\d+)\]$/.exec(await weRemove())?.[1])));
      await maker.end();
      assert.equal(await weRemove(), "left");
    });

    it("ours makes it: dlm_release_lockspace() leaves it", async () => {
      await shell(1).call(async (node, name) => {
        await (await node.Lockspace.open(name, { create: true })).close();
      }, OTHER);
      await isShared();
      const leaver = new Peer(cluster, 1);
      await leaver.open(OTHER);
      await leaver.release(OTHER);
      await leaver.end();
      assert.equal((await command(cluster, 1, ["test", "-e", `/sys/kernel/dlm/${OTHER}`])).code, 1);
    });

    it("dlm_tool joins it, and leaves it", async () => {
      assert.equal((await command(cluster, 1, ["dlm_tool", "join", OTHER])).code, 0);
      await isShared();
      assert.equal((await command(cluster, 1, ["dlm_tool", "leave", OTHER])).code, 0);
      assert.equal((await command(cluster, 1, ["test", "-e", `/sys/kernel/dlm/${OTHER}`])).code, 1);
    });
  });
});
