// One shared disk: a sparse file of this machine, and what of it has not been flushed. The file is always what all nodes
// see. It is not synced: the machine that runs the lab is not the one that crashes.

import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";

import { dice } from "./dice";
import { SECTOR, Unflushed } from "./unflushed";

export type Losing = "none" | "some" | "all";

export class Volume {
  readonly size: number;
  readonly #file: FileHandle;
  readonly #unflushed = new Unflushed();
  /** One operation at a time, in the order they came: no sector is ever seen half-written. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.size = size;
  }

  static async create(path: string, size: number): Promise<Volume> {
    const file = await open(path, "wx+", 0o600);
    await file.truncate(size);
    return new Volume(file, size);
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return this.#inTurn(async () => this.#read(offset, length));
  }

  /** `durable`: at once, without what the node wrote before (a write with FUA). */
  async write(node: number, offset: number, data: Buffer, durable: boolean): Promise<void> {
    const [first, count] = [offset / SECTOR, data.length / SECTOR];
    await this.#inTurn(async () => {
      const former = this.#unflushed.needsFormer(node, first, count)
        ? await this.#read(offset, data.length)
        : undefined;
      await this.#write(offset, data);
      this.#unflushed.wrote(node, first, count, former);
      if (durable) this.#unflushed.flushed(node, first, count);
    });
  }

  /** All that the node's writes so far is durable. */
  async flush(node: number): Promise<void> {
    await this.#inTurn(async () => {
      this.#unflushed.flushed(node);
      return Promise.resolve();
    });
  }

  /** The node is off: what becomes of its unflushed writes. Returns how many sectors lost one. */
  async settle(node: number, losing: Losing, seed: number): Promise<number> {
    const roll = dice(seed);
    const keep = { none: () => true, some: () => roll() < 0.5, all: () => false }[losing];
    return this.#inTurn(async () => {
      const { count, reversals } = this.#unflushed.lost(node, keep);
      for (const { sector, data } of reversals) await this.#write(sector * SECTOR, data);
      return count;
    });
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => this.#file.close());
  }

  async #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(operation);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #read(offset: number, length: number): Promise<Buffer> {
    const data = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.read(data, 0, length, offset);
    if (bytesRead !== length) throw new Error(`the disk's file is too short: ${bytesRead} of ${length} bytes`);
    return data;
  }

  async #write(offset: number, data: Buffer): Promise<void> {
    for (let done = 0; done < data.length;) {
      done += (await this.#file.write(data, done, data.length - done, offset + done)).bytesWritten;
    }
  }
}
