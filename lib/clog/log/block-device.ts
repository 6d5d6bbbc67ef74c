import { ClogError } from "../../errors";
import { native } from "../../native";
import type { NativeBlockDevice } from "../../native";

/** A block device, opened. What it throws is a {@link ClogError} with the device's path. */
export class BlockDevice {
  readonly path: string;
  readonly #device: NativeBlockDevice;

  private constructor(path: string, device: NativeBlockDevice) {
    this.path = path;
    this.#device = device;
  }

  static open(path: string, options: { writable?: boolean; direct?: boolean } = {}): Promise<BlockDevice> {
    const { writable = false, direct = false } = options;
    return new Promise((resolve, reject) => {
      native().openBlockDevice(path, writable, direct, (failure, device) => {
        if (device) resolve(new BlockDevice(path, device));
        else reject(new ClogError({ errno: failure?.errno ?? 0, syscall: failure?.syscall ?? "open", path }));
      });
    });
  }

  /** Bytes, when it was opened. */
  get size(): number {
    return this.#device.size;
  }

  /** "MAJOR:MINOR". */
  get number(): string {
    return `${this.#device.major}:${this.#device.minor}`;
  }

  get logicalBlockSize(): number {
    return this.#device.logicalBlockSize;
  }

  /** Shorter than asked for at the end of the device. */
  read(position: number, length: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#device.read(position, length, (errno, data) => {
        if (errno === 0 && data) resolve(data);
        else reject(this.#error(errno, "read"));
      });
    });
  }

  write(position: number, data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#device.write(position, data, this.#settle("write", resolve, reject));
    });
  }

  /** What was written to the device before is durable. */
  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#device.flush(this.#settle("fsync", resolve, reject));
    });
  }

  /** After what was asked for before. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#device.close(resolve);
    });
  }

  #settle(syscall: string, resolve: () => void, reject: (error: Error) => void): (errno: number) => void {
    return (errno) => {
      if (errno === 0) resolve();
      else reject(this.#error(errno, syscall));
    };
  }

  #error(errno: number, syscall: string): ClogError {
    return new ClogError({ errno, syscall, path: this.path });
  }
}
