// One shared disk: its file, the undo files of the nodes that use it, and the order of what they do.
//
// Writes, flushes and losses happen one after the other, in the order of the calls; reads happen beside them. A read sees
// each write wholly or not at all, whichever node it is from; what a real disk promises is less, one sector at a time.
// Nothing is ever synced to the host's own disk: that the host stays up is what a lab stands on.
//
// When the host's file system fails (it may be full), the call rejects. What a failed write leaves in its sectors, and
// what they can go back to, is undefined, as on a real disk.

import type { FileHandle } from "node:fs/promises";
import { open, unlink } from "node:fs/promises";
import path from "node:path";

import { Gate } from "./gate";
import type { Copy, Place } from "./versions";
import { SECTOR, Versions } from "./versions";

/** Bytes that are copied at a time. */
const SCRATCH = 1024 * 1024;
/** An undo file that has taken so many bytes gives its room back as soon as nothing in it is needed. */
const MUCH_UNDO = 64 * 1024 * 1024;

interface Undo {
  readonly file: FileHandle;
  written: number;
}

export class Volume {
  readonly size: number;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #undo: ReadonlyMap<number, Undo>;
  readonly #versions: Versions;
  readonly #gate = new Gate();
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH);
  #last: Promise<unknown> = Promise.resolve();

  private constructor(file: string, size: number, handle: FileHandle, undo: ReadonlyMap<number, Undo>) {
    this.#path = file;
    this.size = size;
    this.#file = handle;
    this.#undo = undo;
    this.#versions = new Versions([...undo.keys()]);
  }

  /** Makes a disk of zeroes, as a sparse file. */
  static async create(file: string, size: number, nodes: readonly number[]): Promise<Volume> {
    const handles: FileHandle[] = [];
    const make = async (name: string): Promise<FileHandle> => {
      const handle = await open(name, "wx+", 0o600);
      handles.push(handle);
      return handle;
    };
    try {
      const handle = await make(file);
      await handle.truncate(size);
      const undo = new Map<number, Undo>();
      for (const node of nodes) {
        const name = path.join(path.dirname(file), `.${path.basename(file)}.undo${node}`);
        undo.set(node, { file: await make(name), written: 0 });
        // nobody else has to find it
        await unlink(name);
      }
      return new Volume(file, size, handle, undo);
    } catch (error) {
      for (const handle of handles) await handle.close();
      if (handles.length > 0) await unlink(file);
      throw error;
    }
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return this.#gate.read(offset, length, async () => {
      const bytes = Buffer.allocUnsafeSlow(length);
      await readAll(this.#file, bytes, offset);
      return bytes;
    });
  }

  /** `durable`: as if a flush of these sectors alone came after it. */
  async write(node: number, offset: number, pieces: readonly Buffer[], durable: boolean): Promise<void> {
    await this.#next(async () => {
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const [first, count] = [offset / SECTOR, length / SECTOR];
      for (const copy of this.#versions.write(node, first, count)) await this.#copy(copy);
      await this.#gate.change(offset, length, () => writeAll(this.#file, pieces, offset));
      if (durable) this.#versions.flushRange(node, first, count);
    });
  }

  async flush(node: number): Promise<void> {
    await this.#next(() => this.#flush(node));
  }

  /** The node has lost power; see Versions.lose. Returns how many sectors went back. */
  async lose(node: number, survives: () => boolean): Promise<number> {
    return this.#next(async () => {
      let lost = 0;
      for (const copy of this.#versions.lose(node, survives)) {
        if (copy.to !== "disk") await this.#copy(copy);
        else {
          await this.#gate.change(copy.first * SECTOR, copy.count * SECTOR, () => this.#copy(copy));
          lost += copy.count;
        }
      }
      await this.#flush(node);
      return lost;
    });
  }

  /** Ends when what was begun has ended, and removes the file. */
  async close(): Promise<void> {
    await this.#next(async () => {
      await this.#file.close();
      for (const { file } of this.#undo.values()) await file.close();
      await unlink(this.#path);
    });
  }

  async #next<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #flush(node: number): Promise<void> {
    this.#versions.flush(node);
    const undo = this.#undo.get(node);
    if (undo === undefined || undo.written < MUCH_UNDO) return;
    await undo.file.truncate(0);
    undo.written = 0;
  }

  async #copy({ from, to, first, count }: Copy): Promise<void> {
    const [source, target] = [this.#at(from), this.#at(to)];
    const end = (first + count) * SECTOR;
    for (let offset = first * SECTOR; offset < end; offset += SCRATCH) {
      const part = this.#scratch.subarray(0, Math.min(SCRATCH, end - offset));
      await readAll(source, part, offset);
      await writeAll(target, [part], offset);
    }
    const undo = to === "disk" ? undefined : this.#undo.get(to);
    if (undo !== undefined) undo.written += count * SECTOR;
  }

  #at(place: Place): FileHandle {
    const file = place === "disk" ? this.#file : this.#undo.get(place)?.file;
    if (file === undefined) throw new RangeError(`node ${place} does not use this disk`);
    return file;
  }
}

async function readAll(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new Error(`the disk's file ends at ${offset + done}`);
    done += bytesRead;
  }
}

async function writeAll(file: FileHandle, pieces: readonly Buffer[], offset: number): Promise<void> {
  let left = pieces;
  for (;;) {
    const length = left.reduce((sum, piece) => sum + piece.length, 0);
    const { bytesWritten } = await file.writev(left, offset);
    if (bytesWritten === length) return;
    if (bytesWritten === 0) throw new Error(`the disk's file takes nothing at ${offset}`);
    left = [Buffer.concat(left).subarray(bytesWritten)];
    offset += bytesWritten;
  }
}
