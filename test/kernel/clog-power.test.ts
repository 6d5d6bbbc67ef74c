// Power cuts of a node that serves and writes a mirror: its disks lose some or all of what was not flushed.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { BLOCK } from "./clog/crash/blocks";
import { SECTOR } from "./clog/crash/disk-states";
import { readAcks, startAgain } from "./clog/crash/restart";
import { clustered, Rig } from "./clog/crash/rig";
import { rounds } from "../rounds";
import { seed } from "./support/seed";

const CUTS = rounds(20, 3);
/** Sectors. */
const LENGTH = 8192;

describe("cluster log: power cuts", function () {
  this.timeout(120_000 + CUTS * 90_000);
  const first = seed();
  let directory: string;
  let rig: Rig;

  before(async () => {
    directory = mkdtempSync("/tmp/clt-power-");
    rig = await Rig.open({ log: directory });
  });
  after(async () => {
    await rig.cluster.down();
    rmSync(directory, { recursive: true });
  });

  it(`leave a mirror that becomes whole again, with all that was acknowledged, ${CUTS} times`, async () => {
    const subject = clustered("whole", first % 2 === 0);
    const acks = path.join(directory, "acks");
    let differed = 0;
    let spared = 0;
    await rig.fill("o");
    await startAgain(rig, subject, LENGTH, new Map());
    for (let cut = 0; cut < CUTS; cut++) {
      const writing = rig.write({
        blocks: (LENGTH * SECTOR) / BLOCK,
        writes: 100_000,
        seed: first + cut,
        gap: 250,
        acks: "$CLUSTERLOCK_OUT/acks",
      });
      await sleep(1500 + ((first + cut * 617) % 2000));
      // a cache that forgets all, now and then
      await rig.cluster.kill(1, { lose: cut % 3 === 2 ? "all" : "some", seed: first + cut });
      await writing.ended;
      rig.forgetServers();
      await rig.cluster.start(1);
      await rig.sh("modprobe dm-mirror");
      const acked = readAcks(acks);
      assert.ok(acked.size > 0, "nothing was acknowledged before the cut");
      const { different, inSync } = await startAgain(rig, subject, LENGTH, acked);
      differed += different;
      spared += inSync;
    }
    assert.ok(differed > 0, `seed ${first}: the legs never differed after a cut`);
    assert.ok(spared > 0, `seed ${first}: all regions were resynchronised after every cut`);
  });
});
