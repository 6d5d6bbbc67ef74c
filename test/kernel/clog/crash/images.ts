// Disks as a power cut could have left them at a moment of a recording.

import type { Recording } from "../../../../lib/lab";

import { States } from "./analysis";
import type { Mark, Mirror } from "./blocks";
import { readMark } from "./blocks";
import { DisksOfRequests, SECTOR } from "./disk-states";

export interface Cut {
  /** The place in the recording. */
  readonly at: number;
  readonly mirror: Mirror;
  /** Of each disk; where a sector could have several contents, one was chosen. */
  readonly images: readonly Buffer[];
  /** Sectors for which there was a choice. */
  readonly open: number;
  /** By block: the version that has to be there, or a later one. */
  readonly acked: ReadonlyMap<number, number>;
}

/** What is left after the events before each of those places, which are in order; `dice` gives numbers in [0, 1). */
export function* cutsAt(
  recording: Pick<Recording, "sizes" | "events">,
  marker: number,
  places: readonly number[],
  dice: () => number,
): Generator<Cut, void> {
  const states = new States(recording.sizes.length);
  const disks = new DisksOfRequests();
  const acked = new Map<number, number>();
  let mirror: Mirror | undefined;
  const take = (mark: Mark): void => {
    if ("acked" in mark) for (const [block, version] of mark.acked) acked.set(block, version);
    if (!("mirror" in mark)) return;
    mirror = mark.mirror ?? undefined;
    if (mirror === undefined) acked.clear();
  };
  let at = 0;
  let next = 0;
  for (const event of recording.events()) {
    for (; places[next] === at; next++) {
      if (mirror === undefined) throw new Error(`there is no mirror at ${at}`);
      let open = 0;
      const images = recording.sizes.map((size, disk) => {
        const image = Buffer.alloc(size);
        const state = states.of(disk);
        // a disk that kept all or nothing of its cache, and one that kept half
        const newest = [0, 0.5, 1][Math.floor(dice() * 3)] ?? 0;
        for (const sector of state.touched()) {
          const possible = state.possible(sector);
          if (possible.length > 1 && disk !== marker) open++;
          const chosen = dice() < newest ? possible.length - 1 : Math.floor(dice() * possible.length);
          states.contents.bytes(possible[chosen] ?? states.contents.zero).copy(image, sector * SECTOR);
        }
        return image;
      });
      yield { at, mirror, images, open, acked: new Map(acked) };
    }
    const disk = disks.of(event);
    if (disk !== marker) states.of(disk).take(event, at);
    else if (event.kind === "write") take(readMark(event.data));
    at++;
  }
}
