// Handles on domains over a real opener and plain files, which are opened at once: who excludes whom on this node, and
// what is left of it all. What the cluster does is tested in the lab.

import assert from "node:assert/strict";
import fs from "node:fs";
import promises from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { Domain, type DomainLock } from "../../lib/dlmfs";
import { Opener } from "../../lib/dlmfs/opener";
import { useAddon } from "../../lib/native";

import { loadDouble, until } from "./double";
import { fdsOf } from "./opener-client";

const SEED = Number(process.env["CLUSTERLOCK_SEED"] ?? Date.now() % 1_000_000);

/** mulberry32 */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe("handles on a domain, on one node", function () {
  this.timeout(60_000);
  let mount: string;
  const statfs = promises.statfs;

  before(() => {
    useAddon(loadDouble().addon);
  });
  beforeEach(() => {
    mount = fs.mkdtempSync(path.join(os.tmpdir(), "clusterlock-domain-"));
    promises.statfs = (async () => Promise.resolve({ type: 0x76a9f425 })) as unknown as typeof statfs;
  });
  afterEach(() => {
    promises.statfs = statfs;
    fs.rmSync(mount, { recursive: true });
  });

  for (const [isolation, kills] of [
    ["process", 0],
    ["process", 5],
    ["thread", 0],
  ] as const) {
    const what = `${isolation}, killed ${kills} times`;
    it(`keep writers out whatever crosses, and leave nothing behind (${what})`, async () => {
      const random = randomFrom(SEED);
      const open = async (): Promise<Domain> =>
        Domain.open("d", { mount, create: true, isolation, runDirectory: path.join(mount, "run") });
      await (await open()).close(); // what stays open once an opener was started is no leak
      const before = fdsOf("self").length;
      const domains = await Promise.all([open(), open(), open()]);
      const holders = new Map<string, Map<DomainLock, "PR" | "EX">>([
        ["a", new Map()],
        ["b", new Map()],
      ]);
      let grants = 0;
      const hold = async (lock: DomainLock): Promise<void> => {
        const here = holders.get(lock.name)!;
        here.set(lock, lock.mode);
        grants++;
        const modes = [...here.values()].join(" ");
        assert.ok(!modes.includes("EX") || modes === "EX", `seed ${SEED}: ${lock.name} is held in ${modes}`);
        if (random(2) === 0) await new Promise((resolve) => setTimeout(resolve, random(3)));
        assert.equal(lock.state, "granted");
        here.delete(lock);
      };
      const expected = new Set(["ABORT_ERR", "ERR_LOCK_RELEASED", "EBUSY", ...(kills > 0 ? ["ERR_OPENER_LOST"] : [])]);
      const opener = Opener.join(isolation);
      const killer = async (): Promise<void> => {
        for (let i = 0; i < kills; i++) {
          await new Promise((resolve) => setTimeout(resolve, 20 + random(20)));
          if (opener.pid !== undefined) process.kill(opener.pid, "SIGKILL");
        }
        opener.leave();
      };
      const killed = killer();
      const once = async (): Promise<void> => {
        const domain = domains[random(domains.length)]!;
        const name = "ab"[random(2)]!;
        const mode = random(2) === 0 ? "PR" : "EX";
        const uncached = random(3) === 0;
        const signal = random(3) === 0 ? AbortSignal.timeout(random(6)) : undefined;
        if (random(8) === 0) {
          await domain.drop(name);
          return;
        }
        const lock =
          random(3) === 0
            ? await domain.tryLock(name, { mode, uncached, patience: random(20) })
            : await domain.lock(name, { mode, uncached, signal });
        if (!lock) return;
        try {
          await use(lock, mode, signal);
        } finally {
          await lock.release();
        }
      };
      const use = async (lock: DomainLock, mode: "PR" | "EX", signal: AbortSignal | undefined): Promise<void> => {
        await hold(lock);
        if (random(4) === 0) {
          const change = mode === "EX" ? lock.downgrade({ signal }) : lock.upgrade({ signal });
          const impatient = random(5) === 0 ? random(4) : undefined;
          if (impatient !== undefined) {
            setTimeout(() => {
              if (lock.state === "reopening") void lock.release();
            }, impatient);
          }
          await change;
          if (lock.state === "granted") await hold(lock);
        }
      };
      await Promise.all(
        Array.from({ length: 24 }, async () => {
          for (let i = 0; i < 40; i++) {
            await once().catch((error: unknown) => {
              const { code, name } = error as NodeJS.ErrnoException;
              if (!expected.has(code ?? "") && name !== "TimeoutError") throw error;
            });
          }
        }),
      );
      assert.ok(grants > 300, `${grants} grants`);
      await killed;
      await until("nothing is pending", () => domains.every((domain) => domain.pending().length === 0));
      assert.deepEqual(
        domains.map(({ held }) => held),
        [0, 0, 0],
      );
      const left = [];
      for (const domain of domains) left.push(await domain.leave());
      assert.equal(fs.existsSync(path.join(mount, "d")), !left.at(-1));
      await until("every descriptor is closed", () => fdsOf("self").length <= before);
    });
  }
});
