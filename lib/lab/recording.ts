// What nodes did to the shared disks of a lab, in order: LabOptions.record.
//
// A file of native byte order (little-endian). It begins with the magic, the number of disks (32 bits, and 32 of padding)
// and their sizes (64 bits each). Then come records: kind, disk (from 0), node and flags (8 bits each), the number of the
// request (32 bits), offset in bytes (64), length in bytes (32, and 32 of padding), and the data of a write.

import { closeSync, openSync, readSync, writevSync } from "node:fs";

import { LabError, messageOf } from "./errors";

const MAGIC = Buffer.from("CLdisks1");
const HEAD = 24;

const KINDS = ["write", "flush", "done", "lost"] as const;
const FLAG_DURABLE = 1;
const FLAG_FAILED = 1;

/**
 * What happened to the disks, in the order in which it did. `disk` counts from 0 (/dev/vda); a request has the number of its
 * place among all requests. A request's first record is written when it has come to the disk and nothing of it is done yet,
 * "done" before its answer leaves: so what a node did after an answer is behind it here, and of two requests between whose
 * records there is a "done" of neither, each may have been first.
 */
export type DiskEvent =
  /** Bytes. `durable`: FUA, which virtio disks do not have: there a flush comes after the write. */
  | { kind: "write"; request: number; disk: number; node: number; offset: number; data: Buffer; durable: boolean }
  /** Of all writes to the disk that this node had been answered when it came; others may be in it. */
  | { kind: "flush"; request: number; disk: number; node: number }
  | { kind: "done"; request: number; failed: boolean }
  /** The node's power was cut, or it died: what becomes of its unflushed writes is not recorded. */
  | { kind: "lost"; node: number };

export interface Recording {
  /** Bytes of each disk, which held zeroes at first. */
  readonly sizes: readonly number[];
  events(): Generator<DiskEvent, void>;
}

/** Writes a recording. Its file is complete after every call: nothing is held back. */
export class Recorder {
  readonly #fd: number;
  #requests = 0;

  constructor(file: string, sizes: readonly number[]) {
    try {
      this.#fd = openSync(file, "wx", 0o600);
    } catch (error) {
      throw new LabError(`cannot record the disks: ${messageOf(error)}`);
    }
    const counts = Buffer.alloc(8);
    counts.writeUInt32LE(sizes.length);
    const lengths = Buffer.alloc(8 * sizes.length);
    for (const [index, size] of sizes.entries()) lengths.writeBigUInt64LE(BigInt(size), 8 * index);
    this.#append([MAGIC, counts, lengths]);
  }

  /** Returns the request's number, for `done`. */
  write(node: number, disk: number, offset: number, pieces: readonly Buffer[], durable: boolean): number {
    return this.#request("write", node, disk, durable ? FLAG_DURABLE : 0, offset, pieces);
  }

  flush(node: number, disk: number): number {
    return this.#request("flush", node, disk, 0, 0, []);
  }

  done(request: number, failed: boolean): void {
    this.#append([head("done", 0, 0, failed ? FLAG_FAILED : 0, request, 0, 0)]);
  }

  lost(node: number): void {
    this.#append([head("lost", 0, node, 0, 0, 0, 0)]);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #request(
    kind: "write" | "flush",
    node: number,
    disk: number,
    flags: number,
    offset: number,
    pieces: readonly Buffer[],
  ): number {
    const request = this.#requests++;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#append([head(kind, disk, node, flags, request, offset, length), ...pieces]);
    return request;
  }

  // at once, not by and by: what comes after must find it there
  #append(pieces: readonly Buffer[]): void {
    let left = pieces;
    for (;;) {
      const length = left.reduce((sum, piece) => sum + piece.length, 0);
      const written = writevSync(this.#fd, left);
      if (written === length) return;
      left = [Buffer.concat(left).subarray(written)];
    }
  }
}

/** Reads what was recorded so far; the lab may go on. Throws a LabError when the file is no recording. */
export function readRecording(file: string): Recording {
  const fd = openSync(file, "r");
  try {
    const start = read(fd, 0, MAGIC.length + 8);
    if (start?.subarray(0, MAGIC.length).equals(MAGIC) !== true) {
      throw new LabError(`${file} is no recording of a lab's disks`);
    }
    const count = start.readUInt32LE(MAGIC.length);
    const lengths = read(fd, start.length, 8 * count);
    if (lengths === undefined) throw new LabError(`${file} ends within its head`);
    const sizes = Array.from({ length: count }, (_, index) => Number(lengths.readBigUInt64LE(8 * index)));
    return { sizes, events: () => eventsOf(file, start.length + lengths.length) };
  } finally {
    closeSync(fd);
  }
}

function* eventsOf(file: string, from: number): Generator<DiskEvent, void> {
  const fd = openSync(file, "r");
  try {
    for (let position = from; ;) {
      const fields = read(fd, position, HEAD);
      if (fields === undefined) return;
      const length = fields.readUInt32LE(16);
      const data = read(fd, position + HEAD, length);
      // a record that is just being written
      if (data === undefined) return;
      yield decode(fields, data);
      position += HEAD + length;
    }
  } finally {
    closeSync(fd);
  }
}

function decode(fields: Buffer, data: Buffer): DiskEvent {
  const [kind, disk, node, flags] = [0, 1, 2, 3].map((at) => fields.readUInt8(at)) as [number, number, number, number];
  const request = fields.readUInt32LE(4);
  switch (KINDS[kind]) {
    case "write": {
      const offset = Number(fields.readBigUInt64LE(8));
      return { kind: "write", request, disk, node, offset, data, durable: flags === FLAG_DURABLE };
    }
    case "flush":
      return { kind: "flush", request, disk, node };
    case "done":
      return { kind: "done", request, failed: flags === FLAG_FAILED };
    case "lost":
      return { kind: "lost", node };
    default:
      throw new LabError(`the recording has a record of kind ${kind}: it is damaged, or of a later version`);
  }
}

function head(
  kind: (typeof KINDS)[number],
  disk: number,
  node: number,
  flags: number,
  request: number,
  offset: number,
  length: number,
): Buffer {
  const fields = Buffer.alloc(HEAD);
  for (const [at, value] of [KINDS.indexOf(kind), disk, node, flags].entries()) fields.writeUInt8(value, at);
  fields.writeUInt32LE(request, 4);
  fields.writeBigUInt64LE(BigInt(offset), 8);
  fields.writeUInt32LE(length, 16);
  return fields;
}

/** Undefined when the file is shorter. */
function read(fd: number, position: number, length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length;) {
    const count = readSync(fd, bytes, done, length - done, position + done);
    if (count === 0) return undefined;
    done += count;
  }
  return bytes;
}
