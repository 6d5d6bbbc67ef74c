import os from "node:os";

import type { Flavour, RequestName } from "../../../lib/clog/protocol/requests";
import { requestNumber } from "../../../lib/clog/protocol/requests";

import type { Consulted, KernelDouble } from "./kernel-double";

const { EINVAL, ESRCH, EWOULDBLOCK } = os.constants.errno;
const NAME_SIZE = 128; // DM_NAME_LEN
const GROUP_MAX = 32;
const NONE = Buffer.alloc(0);

/** A table's mirror log. */
export interface KernelTable {
  /** `ulog`, unless it says another. */
  flavour?: Flavour;
  uuid: string;
  /** Sectors of the mirror. */
  length: number;
  /** `clustered-core`, `clustered-disk` or another. */
  type: string;
  /** Behind the type, and without the uuid: "DISK REGION_SIZE sync". */
  args: readonly string[];
  integratedFlush?: boolean;
  /** Its address: another than the next, as when the kernel uses it again. */
  luid?: bigint;
}

/** A table could not be loaded. */
export class KernelError extends Error {
  /** Negative. */
  readonly errno: number;

  constructor(errno: number, text: string) {
    super(`${text} (${errno})`);
    this.errno = errno;
  }
}

interface FlushEntry {
  readonly type: "MARK_REGION" | "CLEAR_REGION";
  readonly region: number;
}

/**
 * A log as the kernel has it: drivers/md/dm-log-userspace-base.c, and dm-log-cluster.c of the patch that it grew from. Every
 * method is the one of struct dm_dirty_log_type of that name, and returns what that one does: numbers are 0 or a negative
 * errno, or of inSync(), isClean() and isRemoteRecovering() a flag.
 */
export class KernelLog {
  readonly flavour: Flavour;
  readonly uuid: string;
  readonly luid: bigint;
  readonly length: number;
  readonly integratedFlush: boolean;
  regionSize = 0;
  regionCount = 0;
  /** Regions below it are in sync for the kernel, and when it reaches the count, none is recovered any more. */
  inSyncHint = 0;
  /** What CTR has named, and dm_get_device() has opened. */
  device: string | undefined;
  /** dm_table_event(): how often a flush has failed. */
  events = 0;

  readonly #kernel: KernelDouble;
  readonly #table: KernelTable;
  readonly #argv: string;
  #marks: FlushEntry[] = [];
  #clears: FlushEntry[] = [];
  #planned: NodeJS.Timeout | undefined;

  private constructor(kernel: KernelDouble, table: KernelTable) {
    this.#kernel = kernel;
    this.#table = table;
    this.flavour = table.flavour ?? "ulog";
    this.uuid = table.uuid;
    this.luid = this.flavour === "clog" ? 0n : (table.luid ?? kernel.nextLuid());
    this.length = table.length;
    this.integratedFlush = this.flavour === "ulog" && table.integratedFlush === true;
    this.#argv = this.flavour === "ulog" ? this.#ulogConstructor() : this.#clogConstructor();
  }

  /** @internal KernelDouble.ctr() */
  static async construct(kernel: KernelDouble, table: KernelTable): Promise<KernelLog> {
    if (Buffer.byteLength(table.uuid) > 128) throw new KernelError(-EINVAL, "UUID argument too long.");
    const log = new KernelLog(kernel, table);
    await (log.flavour === "ulog" ? log.#ctr() : log.#clogCtr());
    return log;
  }

  /** @internal KernelDouble.using() */
  static existing(kernel: KernelDouble, table: KernelTable, regionSize: number): KernelLog {
    const log = new KernelLog(kernel, table);
    log.#setRegionSize(regionSize);
    return log;
  }

  #ulogConstructor(): string {
    const { type, args, length } = this.#table;
    return [length, type, ...args].join(" ");
  }

  // "[DISK] REGION_SIZE UUID [[no]sync] LENGTH"
  #clogConstructor(): string {
    const { args, length, uuid } = this.#table;
    const before = this.#sizeIndex() + 1;
    return [...args.slice(0, before), uuid, ...args.slice(before), length].join(" ");
  }

  #sizeIndex(): number {
    return this.#table.type === "clustered-disk" ? 1 : 0;
  }

  // userspace_ctr()
  async #ctr(): Promise<void> {
    if (this.#table.args.length < 1) throw new KernelError(-EINVAL, "Too few arguments to userspace dirty log");
    const room = { bytes: NAME_SIZE };
    const ctr = await this.#consult("CTR", Buffer.from(this.#argv), this.#kernel.version < 2 ? undefined : room);
    if (ctr.error < 0) throw new KernelError(ctr.error, "Userspace log server failed to create log");
    const size = await this.#consult("GET_REGION_SIZE", NONE, { bytes: 8 });
    if (size.error !== 0) throw new KernelError(size.error, "Failed to get region size of dirty log");
    this.#setRegionSize(Number(u64(size.data, 0) & 0xffffffffn));
    if (ctr.data.length > 0) this.#getDevice(ctr.data);
  }

  #getDevice(data: Buffer): void {
    if (data.at(-1) !== 0) throw new KernelError(-EINVAL, "CTR device return string not properly terminated");
    const device = textOf(data);
    const error = this.#kernel.getDevice(device);
    if (error !== 0) throw new KernelError(error, `Failed to register ${device} with device-mapper`);
    this.device = device;
  }

  // cluster_ctr()
  async #clogCtr(): Promise<void> {
    this.#setRegionSize(Number(this.#table.args[this.#sizeIndex()]));
    if (this.#sizeIndex() === 1) this.device = this.#table.args[0];
    const { error } = await this.#consult("CTR", Buffer.from(this.#argv));
    if (error !== 0) throw new KernelError(error, "The server failed to create the log");
  }

  #setRegionSize(size: number): void {
    this.regionSize = size;
    this.regionCount = Math.ceil(this.length / size);
  }

  async dtr(): Promise<void> {
    await this.#flushPlanned();
    await this.#consult("DTR", NONE);
  }

  async presuspend(): Promise<number> {
    return (await this.#consult("PRESUSPEND", NONE)).error;
  }

  async postsuspend(): Promise<number> {
    await this.#flushPlanned();
    return (await this.#consult("POSTSUSPEND", NONE)).error;
  }

  async resume(): Promise<number> {
    this.inSyncHint = 0;
    return (await this.#consult("RESUME", NONE)).error;
  }

  async isClean(region: number): Promise<number> {
    return this.#flag("IS_CLEAN", region);
  }

  /** @param canBlock without it the kernel does not ask */
  async inSync(region: number, canBlock = true): Promise<number> {
    return canBlock ? this.#flag("IN_SYNC", region) : -EWOULDBLOCK;
  }

  async #flag(name: "IN_SYNC" | "IS_CLEAN", region: number): Promise<number> {
    const size = this.flavour === "clog" ? 4 : 8;
    const { error, data } = await this.#do(name, u64s(region), { bytes: size });
    return error !== 0 ? 0 : fromStack(data, size).readInt32LE();
  }

  /** Asks nothing before flush(). */
  mark(...regions: number[]): void {
    for (const region of regions) this.#list("MARK_REGION").unshift({ type: "MARK_REGION", region });
  }

  /** Asks nothing before flush(). */
  clear(...regions: number[]): void {
    for (const region of regions) this.#list("CLEAR_REGION").unshift({ type: "CLEAR_REGION", region });
  }

  // the older one has one list for both
  #list(type: FlushEntry["type"]): FlushEntry[] {
    return type === "MARK_REGION" || this.flavour === "clog" ? this.#marks : this.#clears;
  }

  /** Clears in groups, then marks in groups and a FLUSH, or with `integratedFlush` FLUSHes with the marks. Asks nothing when there
   * is neither. */
  async flush(): Promise<number> {
    const marks = this.#marks.splice(0);
    const clears = this.#clears.splice(0);
    if (marks.length === 0 && clears.length === 0) return 0;
    const error = this.flavour === "clog" ? await this.#clogFlush(marks) : await this.#flush(marks, clears);
    if (error !== 0) this.events++;
    return error;
  }

  async #clogFlush(entries: FlushEntry[]): Promise<number> {
    return (await this.#oneByOne(entries)) || (await this.#do("FLUSH", NONE)).error;
  }

  async #flush(marks: FlushEntry[], clears: FlushEntry[]): Promise<number> {
    let error = await this.#byGroup(clears, false);
    if (error !== 0) return error;
    const none = marks.length === 0;
    error = await this.#byGroup(marks, this.integratedFlush);
    if (error !== 0) return error;
    if (!this.integratedFlush) return (await this.#do("FLUSH", NONE)).error;
    const planned = this.#planned !== undefined;
    clearTimeout(this.#planned);
    this.#planned = undefined;
    if (none && !planned) this.#planned = this.#kernel.after(this.#kernel.times.flush, () => void this.#doFlush());
    return 0;
  }

  // flush_by_group()
  async #byGroup(entries: FlushEntry[], withPayload: boolean): Promise<number> {
    const done: FlushEntry[] = [];
    while (entries.length > 0) {
      const group = entries.splice(0, GROUP_MAX);
      done.unshift(...group.toReversed());
      const name = withPayload ? "FLUSH" : group[0]!.type;
      const { error } = await this.#do(name, u64s(...group.map(({ region }) => region)));
      if (error !== 0) return withPayload ? error : this.#oneByOne([...done, ...entries]);
    }
    return 0;
  }

  async #oneByOne(entries: readonly FlushEntry[]): Promise<number> {
    for (const { type, region } of entries) {
      const { error } = await this.#do(type, u64s(region));
      if (error !== 0) return error;
    }
    return 0;
  }

  // do_flush()
  async #doFlush(): Promise<void> {
    this.#planned = undefined;
    const { error } = await this.#do("FLUSH", NONE).catch(() => ({ error: 0 })); // check() has it
    if (error !== 0) this.events++;
  }

  async #flushPlanned(): Promise<void> {
    if (this.#planned === undefined) return;
    clearTimeout(this.#planned);
    await this.#doFlush();
  }

  /** `result`: 1, and the region; 0, nothing to recover; or a negative errno. */
  async getResyncWork(): Promise<{ result: number; region: number }> {
    if (this.inSyncHint >= this.regionCount) return { result: 0, region: 0 };
    const { error, data } = await this.#do("GET_RESYNC_WORK", NONE, { bytes: 16 });
    const filled = fromStack(data, 16);
    const [result, region] = [error || filled.readInt32LE(), Number(u64(filled, 8))];
    if (result === 1 && region >= this.regionCount)
      this.#kernel.refuse(`region ${region} of ${this.regionCount} is to be recovered`);
    return { result, region };
  }

  async setRegionSync(region: number, inSync: boolean): Promise<void> {
    await this.#do("SET_REGION_SYNC", u64s(region, inSync ? 1 : 0));
  }

  async getSyncCount(): Promise<number> {
    const { error, data } = await this.#do("GET_SYNC_COUNT", NONE, { bytes: 8 });
    if (error !== 0) return 0;
    const count = Number(u64(fromStack(data, 8), 0));
    if (count > this.regionCount) this.#kernel.refuse(`${count} of ${this.regionCount} regions are in sync`);
    if (count >= this.regionCount) this.inSyncHint = this.regionCount;
    return count;
  }

  /** What `dmsetup status` shows of the log. @param room what is left of the ioctl's buffer */
  async statusInfo(room = 16_000): Promise<string> {
    const { error, data } = await this.#do("STATUS_INFO", NONE, { bytes: room });
    if (error === 0) return textOf(data);
    return this.flavour === "clog" ? "" : "userspace 1 COM_FAILURE";
  }

  /** What `dmsetup table` shows of the log, with the blank before the legs. Only the older kernel asks. */
  async statusTable(room = 16_000): Promise<string> {
    if (this.flavour === "ulog") {
      const { args, type, uuid } = this.#table;
      const words = [...(this.integratedFlush ? ["integrated_flush"] : []), type, ...args];
      return `userspace ${words.length + 1} ${[uuid, ...words].join(" ")} `;
    }
    const { error, data } = await this.#do("STATUS_TABLE", NONE, { bytes: room });
    return error === 0 ? textOf(data) : "";
  }

  async isRemoteRecovering(region: number): Promise<number> {
    if (region < this.inSyncHint) return 0;
    if (performance.now() < this.#kernel.remoteLimit) return 1;
    this.#kernel.remoteLimit = performance.now() + this.#kernel.times.remote;
    const { error, data } = await this.#do("IS_REMOTE_RECOVERING", u64s(region), { bytes: 16 });
    if (error !== 0) return 1;
    const filled = fromStack(data, 16);
    this.inSyncHint = Number(u64(filled, 8));
    return filled.readInt32LE();
  }

  #consult(name: RequestName, data: Buffer, room?: { bytes: number }): Promise<Consulted> {
    const { flavour, uuid, luid } = this;
    const version = flavour === "clog" ? 0 : this.#kernel.version;
    return this.#kernel.consult({ flavour, uuid, luid, version, type: requestNumber(name), data }, room);
  }

  // userspace_do_request() and cluster_do_request()
  async #do(name: RequestName, data: Buffer, room?: { bytes: number }): Promise<Consulted> {
    for (;;) {
      const answered = await this.#consult(name, data, room);
      if (answered.error !== -ESRCH) return answered;
      this.#kernel.messages.push("Userspace log server not found.");
      const argv = Buffer.from(this.#argv + (this.flavour === "ulog" ? "\0" : ""));
      do await this.#kernel.sleep(this.#kernel.times.reconnect);
      while ((await this.#consult("CTR", argv)).error !== 0);
      const { error } = await this.#consult("RESUME", NONE);
      if (error !== 0) {
        this.#kernel.messages.push(`Error trying to resume userspace log: ${error}`);
        return { error: -ESRCH, data: NONE };
      }
    }
  }
}

// What the answer has left as it was is what was on the kernel's stack.
function fromStack(data: Buffer, size: number): Buffer {
  const stack = Buffer.alloc(size, 0xaa);
  data.copy(stack);
  return stack;
}

function u64(data: Buffer, at: number): bigint {
  return data.readBigUInt64LE(at);
}

function u64s(...values: number[]): Buffer {
  const data = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => data.writeBigUInt64LE(BigInt(value), index * 8));
  return data;
}

function textOf(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString("utf8", 0, end < 0 ? data.length : end);
}
