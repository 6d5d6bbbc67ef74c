// What happens to a mirror while its disks are recorded.

import { setTimeout as sleep } from "node:timers/promises";

import { BLOCK } from "./blocks";
import { SECTOR } from "./disk-states";
import type { Devices, Rig, Subject } from "./rig";
import { LEG_BYTES } from "./rig";

/** Sectors of the mirror, before it grows and after. */
const SMALL = 8192;
const LARGE: number = LEG_BYTES / SECTOR;
/** Milliseconds. */
const GAP = 250;

/**
 * A new mirror: writes while it is resynchronised for the first time, and after; its server dies, so many times; it grows;
 * it is suspended under writes; it is idle. `seed` decides where is written. Returns the logs of dm-log-writes.
 */
export async function wholeLife(rig: Rig, subject: Subject, seed: number, deaths: number): Promise<string[]> {
  const devices = await begin(rig, subject);
  await rig.write({ blocks: blocksOf(SMALL), writes: 60, seed, gap: GAP }).ended;
  await rig.synced(SMALL);

  const writing = rig.write({ blocks: blocksOf(SMALL), writes: 150, seed: seed + 1, gap: GAP });
  for (let death = 0; death < deaths; death++) {
    await sleep(500);
    await rig.unserve("KILL", false);
    await rig.serve(subject);
  }
  await writing.ended;

  await rig.point("growing");
  await rig.mark({ mirror: rig.mirror(LARGE) });
  await rig.resume(rig.table(subject, devices, LARGE));
  await rig.write({ blocks: blocksOf(LARGE), writes: 60, seed: seed + 2, gap: GAP }).ended;
  await rig.synced(LARGE);

  const last = rig.write({ blocks: blocksOf(LARGE), writes: 100, seed: seed + 3, gap: GAP });
  await sleep(500);
  await rig.point("suspended");
  await rig.resume();
  await last.ended;
  // some rounds of clears
  await sleep(1000);
  return end(rig);
}

/** A mirror that is made, written to and left idle: what a build without a flush is recorded by. */
export async function shortLife(rig: Rig, subject: Subject, seed: number): Promise<string[]> {
  await begin(rig, subject);
  await rig.synced(SMALL);
  await rig.write({ blocks: blocksOf(SMALL), writes: 100, seed, gap: GAP }).ended;
  await sleep(1000);
  return end(rig);
}

async function begin(rig: Rig, subject: Subject): Promise<Devices> {
  // The kernel's own log takes what it finds for its bits when the power is cut while it writes its first header. Those
  // who use it write zeroes there before.
  await rig.fill(subject.build === undefined ? "\0" : "o");
  const devices = await rig.logWrites();
  await rig.serve(subject);
  await rig.mark({ mirror: rig.mirror(SMALL) });
  await rig.create(subject, devices, SMALL);
  return devices;
}

async function end(rig: Rig): Promise<string[]> {
  await rig.point("end");
  await rig.mark({ mirror: null });
  await rig.resume();
  await rig.remove();
  await rig.unserve("TERM", true);
  return rig.collect();
}

function blocksOf(sectors: number): number {
  return (sectors * SECTOR) / BLOCK;
}
