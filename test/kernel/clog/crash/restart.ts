// A mirror that is started on disks as a power cut has left them.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import type { Mark } from "./blocks";
import type { Cut } from "./images";
import type { Rig, Subject } from "./rig";
import { DISKS } from "./rig";

export interface Restarted {
  /** Sectors at which the legs differed before. */
  readonly different: number;
  /** Regions in sync at once, and of how many. */
  readonly inSync: number;
  readonly regions: number;
}

/** Puts the images on the disks; `directory` is the lab's for results. */
export async function putBack(rig: Rig, { images }: Cut, directory: string): Promise<void> {
  const disks = [...DISKS.legs, DISKS.log];
  for (const [index, disk] of disks.entries()) {
    const name = `image${index}`;
    writeFileSync(path.join(directory, name), images[index] ?? "");
    await rig.sh(`dd if=$CLUSTERLOCK_OUT/${name} of=${disk} bs=1M oflag=direct conv=notrunc,fsync status=none`);
  }
}

/**
 * Starts the mirror and waits until all of it is in sync; then its legs have to be equal, and what was acknowledged to be
 * there. The mirror and its server go on.
 */
export async function startAgain(
  rig: Rig,
  subject: Subject,
  length: number,
  acked: ReadonlyMap<number, number>,
): Promise<Restarted> {
  const different = await rig.different(length);
  await rig.serve(subject);
  await rig.create(subject, DISKS, length);
  const [, inSync, regions] = / (\d+)\/(\d+) /.exec(await rig.sh("dmsetup status m")) ?? [];
  await rig.synced(length);
  const left = await rig.different(length);
  assert.deepEqual(left.slice(0, 20), [], `the legs differ at ${left.length} of the ${different.length} sectors`);
  const versions = await rig.versions(0, length);
  for (const [block, version] of acked) {
    const found = versions.get(block) ?? 0;
    assert.ok(found >= version, `block ${block}: version ${version} was acknowledged, and ${found} is there`);
  }
  return { different: different.length, inSync: Number(inSync), regions: Number(regions) };
}

/** By block, the newest version of a file of acknowledgements. */
export function readAcks(file: string): Map<number, number> {
  const acked = new Map<number, number>();
  // a power cut may have come within the last line
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  for (const line of lines) {
    const mark = JSON.parse(line) as Mark;
    if (!("acked" in mark)) continue;
    for (const [block, version] of mark.acked) acked.set(block, Math.max(version, acked.get(block) ?? 0));
  }
  return acked;
}
