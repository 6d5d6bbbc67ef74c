import { constants } from "node:os";

import { ClogError } from "../../errors";

import { invalidTable } from "./arguments";
import { BlockDevice } from "./block-device";
import { BITS_OFFSET, PAGE_SIZE, decodeHeader, logSize } from "./disk-format";
import type { FoundDevice } from "./find-device";

// so much of the bits at a time
const READ_SIZE = 1 << 20;

/** Opens what was found, and no other device that has come to its name. */
export async function checkedOpen(
  found: FoundDevice,
  options: { writable?: boolean; direct?: boolean } = {},
): Promise<BlockDevice> {
  const device = await BlockDevice.open(found.path, options);
  if (device.number === found.number) return device;
  await device.close();
  throw new ClogError({
    errno: -constants.errno.ENODEV,
    syscall: "open",
    path: found.path,
    hint: `it is ${device.number} by now, and was ${found.number}`,
  });
}

/** What a log device said of its regions. */
export interface LogContents {
  readonly bits: Uint8Array;
  /** Of how many regions there are bits. */
  readonly valid: number;
  /** Of how many the header says so; 0 of what is no log. */
  readonly regions: number;
  /** What is before the bits. */
  readonly head: Uint8Array;
}

/** The device of a log, opened past the page cache, with every write durable when it has ended. */
export class LogDevice {
  /** As the table has it. */
  readonly name: string;
  readonly #regionCount: number;
  readonly #find: (word: string) => Promise<FoundDevice>;
  #device: Promise<BlockDevice> | undefined;
  #number: string | undefined;

  constructor(name: string, regionCount: number, find: (word: string) => Promise<FoundDevice>) {
    this.name = name;
    this.#regionCount = regionCount;
    this.#find = find;
    if (/^\d+:\d+$/.test(name)) this.#number = name;
  }

  /** "MAJOR:MINOR", once it has been opened or where the table says it. */
  get number(): string | undefined {
    return this.#number;
  }

  /** Unless it is open. Throws a {@link ClogError}: EINVAL when the log has no room there. Neither reads nor writes. */
  async open(): Promise<BlockDevice> {
    this.#device ??= this.#open();
    try {
      return await this.#device;
    } catch (error) {
      this.#device = undefined;
      throw error;
    }
  }

  async #open(): Promise<BlockDevice> {
    const device = await checkedOpen(await this.#find(this.name), { writable: true, direct: true });
    const problem = this.#problem(device);
    if (problem !== undefined) {
      await device.close();
      throw invalidTable(problem, this.name);
    }
    this.#number = device.number;
    return device;
  }

  #problem(device: BlockDevice): string | undefined {
    if (device.logicalBlockSize > PAGE_SIZE) {
      return `its logical blocks of ${device.logicalBlockSize} bytes are longer than ${PAGE_SIZE}: use another log device`;
    }
    const needed = logSize(this.#regionCount, device.logicalBlockSize);
    if (device.size >= needed) return undefined;
    return `${needed} bytes are needed for ${this.#regionCount} regions, and it has ${device.size}`;
  }

  /** Throws a {@link ClogError}: EIO for a log of another version, too. */
  async read(): Promise<LogContents> {
    const device = await this.open();
    const size = logSize(this.#regionCount, device.logicalBlockSize);
    const first = await this.#exactly(device, 0, Math.min(PAGE_SIZE, size));
    const header = decodeHeader(first);
    const head = first.subarray(0, BITS_OFFSET);
    if (header.kind === "none") return { bits: new Uint8Array(0), valid: 0, regions: 0, head };
    if (header.kind === "unknown")
      throw this.#unreadable(`its log is of version ${header.version}, which is none of 1 and 2`);
    const valid = header.regions < this.#regionCount ? Number(header.regions) : this.#regionCount;
    const end = Math.min(logSize(valid, device.logicalBlockSize), size);
    const parts = [first];
    for (let position = first.length; position < end; position += READ_SIZE) {
      parts.push(await this.#exactly(device, position, Math.min(READ_SIZE, end - position)));
    }
    return { bits: Buffer.concat(parts).subarray(BITS_OFFSET), valid, regions: Number(header.regions), head };
  }

  /** Writes so much of the page as the log takes. */
  async writePage(page: number, content: Uint8Array): Promise<void> {
    const device = await this.open();
    const position = page * PAGE_SIZE;
    const length = logSize(this.#regionCount, device.logicalBlockSize) - position;
    await device.write(position, content.subarray(0, Math.min(PAGE_SIZE, length)));
  }

  /** After what was asked for before. */
  async close(): Promise<void> {
    const device = this.#device;
    this.#device = undefined;
    await (await device?.catch(() => undefined))?.close();
  }

  async #exactly(device: BlockDevice, position: number, length: number): Promise<Buffer> {
    const data = await device.read(position, length);
    if (data.length < length) throw this.#unreadable(`it ended at byte ${position + data.length}`);
    return data;
  }

  #unreadable(hint: string): ClogError {
    return new ClogError({ errno: -constants.errno.EIO, syscall: "read", path: this.name, hint });
  }
}
