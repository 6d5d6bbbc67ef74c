// Recordings made up for tests: a mirror of two regions of a block each on disks 0 and 1, its log on disk 2, marks on 3.

import type { DiskEvent, Recording } from "../../../../lib/lab";
import type { Mark, Mirror } from "../../../kernel/clog/crash/blocks";
import { BLOCK, sectorOf, SECTORS_PER_BLOCK } from "../../../kernel/clog/crash/blocks";
import { FIRST_BITS, header } from "../../../kernel/clog/crash/disk-log";
import { SECTOR } from "../../../kernel/clog/crash/disk-states";

export const LOG = 2;
export const MARKER = 3;
export const MIRROR: Mirror = { legs: [0, 1], log: LOG, length: 2 * SECTORS_PER_BLOCK, regionSize: SECTORS_PER_BLOCK };

export class Fabricated implements Pick<Recording, "sizes" | "events"> {
  readonly sizes: readonly number[] = [2 * BLOCK, 2 * BLOCK, 2 * BLOCK, BLOCK];
  readonly #events: DiskEvent[] = [];
  #requests = 0;

  *events(): Generator<DiskEvent, void> {
    yield* this.#events;
  }

  /** How many there are: the place of the next. */
  get at(): number {
    return this.#events.length;
  }

  /** A request that has come; `done` ends it. */
  begin(disk: number, offset: number, data: Buffer, durable = false): number {
    const request = this.#requests++;
    this.#events.push({ kind: "write", request, disk, node: 1, offset, data, durable });
    return request;
  }

  beginFlush(disk: number): number {
    const request = this.#requests++;
    this.#events.push({ kind: "flush", request, disk, node: 1 });
    return request;
  }

  done(...requests: number[]): this {
    for (const request of requests) this.#events.push({ kind: "done", request, failed: false });
    return this;
  }

  write(disk: number, offset: number, data: Buffer, durable = false): this {
    return this.done(this.begin(disk, offset, data, durable));
  }

  flush(...disks: number[]): this {
    for (const disk of disks) this.done(this.beginFlush(disk));
    return this;
  }

  mark(mark: Mark): this {
    return this.write(MARKER, 0, Buffer.from(JSON.stringify(mark)));
  }

  /** A version of a block to legs. */
  block(legs: readonly number[], block: number, version: number): this {
    for (const leg of legs) this.write(leg, block * BLOCK, blockOf(block, version));
    return this;
  }

  /** The log's header and bits. */
  log(clean: readonly number[], regions = 2): this {
    return this.write(LOG, 0, logOf(clean, regions));
  }

  /** Both regions hold version 1, acknowledged, and the log calls them clean. */
  inSync(): this {
    for (const block of [0, 1]) this.block(MIRROR.legs, block, 1);
    this.flush(...MIRROR.legs);
    this.mark({ mirror: MIRROR });
    for (const block of [0, 1]) this.mark({ acked: [[block, 1]] });
    return this.log([0, 1]).flush(LOG);
  }
}

export function blockOf(block: number, version: number): Buffer {
  return Buffer.concat(
    Array.from({ length: SECTORS_PER_BLOCK }, (_, index) => sectorOf(block * SECTORS_PER_BLOCK + index, version)),
  );
}

export function logOf(clean: readonly number[], regions: number): Buffer {
  const bytes = Buffer.concat([header(regions), Buffer.alloc(FIRST_BITS * SECTOR)]);
  for (const region of clean) {
    const at = FIRST_BITS * SECTOR + (region >> 3);
    bytes[at] = bytes[at]! | (1 << (region & 7));
  }
  return bytes;
}
