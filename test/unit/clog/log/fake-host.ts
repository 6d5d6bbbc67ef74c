import { constants } from "node:os";

import { ClogError } from "../../../../lib/errors";
import { type NativeBlockDevice, type NativeDmDevice, useAddon } from "../../../../lib/native";
import type { FoundDevice } from "../../../../lib/clog/log/find-device";
import type { DirtyLog, LogContext, LogReport } from "../../../../lib/clog/log/dirty-log";
import { NO_ADDON } from "../../support/no-addon";
import { type RegionFiles, RegionsModel } from "../regions-model";

const { EIO, ENODEV } = constants.errno;

type Operation = "read" | "write" | "flush";

/** One operation that the device has been given and not ended. */
interface UnderWay {
  readonly operation: Operation;
  readonly position: number;
  readonly data: Buffer;
  readonly end: (errno: number) => void;
}

/** A disk without a cache: what is written is there when the write has ended. */
export class FakeDisk {
  readonly number: string;
  readonly logicalBlockSize: number;
  content: Buffer;
  /** Every operation that ended, as "write 4096+512". */
  readonly done: string[] = [];
  readonly failing: Set<Operation> = new Set();
  /** Operations that do not end by themselves. */
  readonly held: Set<Operation> = new Set();
  readonly underWay: UnderWay[] = [];
  /** Is told when an operation is given to the device, and when it has ended well. */
  watch: ((operation: Operation, phase: "begin" | "end") => void) | undefined;
  opened = 0;
  openModes: string[] = [];

  constructor(number: string, size: number, logicalBlockSize = 512) {
    this.number = number;
    this.logicalBlockSize = logicalBlockSize;
    this.content = Buffer.alloc(size);
  }

  /** How many there were of one operation. */
  count(operation: Operation): number {
    return this.done.filter((line) => line.startsWith(operation)).length;
  }

  /** Ends the first operation that is under way. */
  step(errno = 0): void {
    const first = this.underWay.shift();
    if (!first) return;
    const failed = errno || (this.failing.has(first.operation) ? -EIO : 0);
    if (failed === 0) {
      this.watch?.(first.operation, "end");
      if (first.operation === "write") first.data.copy(this.content, first.position);
      this.done.push(
        first.operation === "flush" ? "flush" : `${first.operation} ${first.position}+${first.data.length}`,
      );
    }
    first.end(failed);
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const first = this.underWay[0];
    if (first && !this.held.has(first.operation)) this.step();
  };

  /** The machine is gone: of what was being written, these sectors have come to the disk. */
  crash(lands: (sector: number) => boolean): void {
    for (const { operation, position, data } of this.underWay.splice(0)) {
      for (let at = 0; operation === "write" && at < data.length; at += 512) {
        if (lands((position + at) / 512)) data.copy(this.content, position + at, at, at + 512);
      }
    }
  }

  open(): NativeBlockDevice {
    const [major = 0, minor = 0] = this.number.split(":").map(Number);
    this.opened++;
    let closed = false;
    const submit = (operation: Operation, position: number, data: Buffer, end: (errno: number) => void): void => {
      if (closed) throw new Error("the device is closed");
      if (operation !== "flush" && (position % this.logicalBlockSize || data.length % this.logicalBlockSize)) {
        throw new Error(`${operation} ${position}+${data.length} is not aligned`);
      }
      if (operation === "write" && position + data.length > this.content.length) throw new Error("beyond the end");
      this.underWay.push({ operation, position, data, end });
      this.watch?.(operation, "begin");
      setImmediate(this.#run);
    };
    return {
      ...{ major, minor, size: this.content.length, logicalBlockSize: this.logicalBlockSize },
      read: (position, length, callback) => {
        submit("read", position, Buffer.alloc(Math.min(length, this.content.length - position)), (errno) => {
          callback(errno, errno === 0 ? Buffer.from(this.content.subarray(position, position + length)) : undefined);
        });
      },
      write: (position, data, callback) => {
        submit("write", position, Buffer.from(data), callback);
      },
      flush: (callback) => {
        submit("flush", 0, Buffer.alloc(0), callback);
      },
      close: (callback) => {
        if (!closed) this.opened--;
        closed = true;
        if (callback) setImmediate(callback);
      },
    };
  }
}

/** A machine with disks and device-mapper devices, as the addon and find-device.ts show it. */
export class FakeHost {
  readonly disks: Map<string, FakeDisk> = new Map();
  readonly files: RegionFiles = new Map();
  readonly reports: LogReport[] = [];
  mirrors: NativeDmDevice[] = [];
  /** Device-mapper answers no more. */
  deaf = false;

  constructor() {
    useAddon({
      ...NO_ADDON,
      openRegions: (count, durable, path) => new RegionsModel(count, durable, path, this.files),
      openBlockDevice: (path, writable, direct, opened) => {
        const disk = this.disks.get(path);
        disk?.openModes.push(`${writable ? "rw" : "r"}${direct ? " direct" : ""}`);
        setImmediate(() => {
          if (disk) opened(undefined, disk.open());
          else opened({ errno: -ENODEV, syscall: "open" }, undefined);
        });
      },
      listDmDevices: (callback) => {
        if (this.deaf) return;
        setImmediate(() => {
          callback(undefined, this.mirrors);
        });
      },
    });
  }

  /** Is found by its number, too. */
  add(path: string, number: string, size: number, logicalBlockSize?: number): FakeDisk {
    const disk = new FakeDisk(number, size, logicalBlockSize);
    this.disks.set(path, disk);
    return disk;
  }

  /** A mirror that runs, of the log of this uuid; also a disk, so that it can be read. */
  mirror(uuid: string, words: string, legs: readonly string[], number = "253:9"): NativeDmDevice {
    const [major = 0, minor = 0] = number.split(":").map(Number);
    const params =
      `userspace ${words.split(" ").length + 1} ${uuid} ${words} ` +
      `${legs.length} ${legs.map((leg) => `${leg} 0`).join(" ")} 1 handle_errors`;
    const device: NativeDmDevice = {
      ...{ name: "m", uuid: "", major, minor, suspended: false, inactive: [] },
      active: [{ start: 0, length: 8192, type: "mirror", params }],
    };
    this.mirrors.push(device);
    this.add(`/dev/dm-${minor}`, number, 1 << 20);
    return device;
  }

  readonly find = (word: string): Promise<FoundDevice> => {
    for (const [path, { number }] of this.disks) {
      if (path === word || number === word) return Promise.resolve({ path, number });
    }
    return Promise.reject(new ClogError({ errno: -ENODEV, syscall: "open", path: word }));
  };

  context(type: string, words: string, length: number, changes: Partial<LogContext> = {}): LogContext {
    return {
      ...{ uuid: "LVM-a", luid: 1n, type, args: words.split(" "), length, origin: "new", resumed: false },
      regions: (count, durable) => new RegionsModel(count, durable, `regions-${changes.luid ?? 1n}`, this.files),
      predecessor: (): DirtyLog | undefined => undefined,
      report: (event) => {
        this.reports.push(event);
      },
      ...changes,
    };
  }

  /** The kinds of what was reported. */
  get kinds(): string[] {
    return this.reports.map(({ kind }) => kind);
  }
}

/** A log as dm-log.c writes it: struct log_header_disk, and from byte 1024 on bits for `test_bit_le`. */
export function kernelLog(size: number, regions: number, clean: readonly number[], version = 2): Buffer {
  const content = Buffer.alloc(size);
  content.writeUInt32LE(0x4d695272, 0);
  content.writeUInt32LE(version, 4);
  content.writeBigUInt64LE(BigInt(regions), 8);
  for (const region of clean) content[1024 + (region >> 3)]! |= 1 << (region & 7);
  return content;
}

/** The regions that a log device calls clean. */
export function cleanOnDisk(content: Buffer, count: number): number[] {
  return Array.from({ length: count }, (_, region) => region).filter(
    (region) => ((content[1024 + (region >> 3)]! >> (region & 7)) & 1) === 1,
  );
}

/** Lets everything go on that waits for nothing but its turn. */
export async function turns(count = 30): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}
