import { constants } from "node:os";

import { ClogError, invalidValue } from "../../errors";
import type { NativeRegions } from "../../native";

import { type RegionArguments, invalidTable, parseRegions } from "./arguments";
import { ClearRounds } from "./clear-rounds";
import type { DirtyLog, LogContext, LogDescription, LogFactory } from "./dirty-log";
import { BITS_OFFSET } from "./disk-format";
import { findDevice } from "./find-device";
import { Legs } from "./legs";
import { type LogContents, LogDevice } from "./log-device";
import { type Mirror, findMirrors } from "./mirrors";
import { PageWriter } from "./page-writer";
import { RegionLog } from "./region-log";
import { within } from "./within";

const NOTHING = new Uint8Array(0);
const CLEAR_DELAY = 5000;
const MAX_DELAY = 2 ** 31 - 1;
// less than the 15 s after which the kernel asks again
const LOOK_UP_LIMIT = 5000;
const LAST_ROUND_LIMIT = 5000;

export interface DiskLogOptions {
  /** Milliseconds between two rounds of clears, each of which costs a flush of the legs and a write for each page. A
   * region stays dirty on the log device for so long after its last write. 1 to 2147483647; default 5000. */
  clearDelay?: number | undefined;
  /** @internal */
  findDevice?: typeof findDevice | undefined;
}

interface Parts {
  readonly device: LogDevice;
  readonly words: RegionArguments;
  readonly regions: NativeRegions;
  readonly options: DiskLogOptions;
}

/**
 * "clustered-disk DEVICE REGION_SIZE [sync|nosync]": a log on a device, in the format of the kernel's own `disk` log
 * (drivers/md/dm-log.c), so that a mirror can go from one to the other.
 *
 * It differs from the kernel's in when the words count. There, each resume of a table with `sync` makes everything out of
 * sync, and each with `nosync` makes everything clean, be it dirty or not. Here `sync` counts at the first resume of a
 * table, and `nosync` where the log says nothing: of a new log, and of the regions by which the mirror has grown. So a
 * mirror with `nosync` can be suspended and resumed after a failure, and recovers what has to be.
 */
export class DiskLog extends RegionLog {
  readonly #device: LogDevice;
  readonly #words: RegionArguments;
  readonly #find: typeof findDevice;
  readonly #writer: PageWriter;
  readonly #rounds: ClearRounds;
  #legs: readonly string[] = [];
  // nothing is taken up any more, and the regions may be closed
  #ended = false;

  private constructor(context: LogContext, { device, words, regions, options }: Parts) {
    const find = options.findDevice ?? findDevice;
    super(context, words, regions, find);
    this.#find = find;
    const report = context.report.bind(context);
    this.#device = device;
    this.#words = words;
    this.#writer = new PageWriter(regions, device, report);
    this.#rounds = new ClearRounds(regions, this.#writer, options.clearDelay ?? CLEAR_DELAY, (error) => {
      report({ kind: "leg-flush-failed", device: (error as Partial<ClogError>).path ?? context.uuid, error });
    });
  }

  /**
   * Throws a RangeError (ERR_INVALID_ARG_VALUE) for options that cannot be.
   * Throws a {@link ClogError}: EINVAL for words that are no such log's, or when the device has no room for the log; what
   * finding or opening it failed with. Of a mirror that runs already, a failing device is reported instead.
   */
  static async create(context: LogContext, options: DiskLogOptions = {}): Promise<DiskLog> {
    const { clearDelay = CLEAR_DELAY } = options;
    // a longer timer, or one of no time, would run all the time
    if (!(clearDelay >= 1 && clearDelay <= MAX_DELAY)) throw invalidValue("clearDelay", `must be 1 to ${MAX_DELAY} ms`);
    const [name, ...rest] = context.args;
    if (name === undefined) throw invalidTable("expected DEVICE REGION_SIZE [sync|nosync]");
    const words = parseRegions(rest, context.length);
    const device = new LogDevice(name, words.regionCount, options.findDevice ?? findDevice);
    if (context.origin === "new") await device.open();
    let log: DiskLog | undefined;
    try {
      const regions = context.regions(words.regionCount, true);
      log = new DiskLog(context, { device, words, options, regions });
      await log.#begin();
      return log;
    } catch (error) {
      await log?.detach();
      await device.close();
      throw error;
    }
  }

  /** As the table has it. */
  get device(): string {
    return this.#device.name;
  }

  /**
   * Reads the log device, and writes all of it. In sync is what the log device calls clean and memory does not contradict.
   * Throws a {@link ClogError} when the device fails (EIO, for the most part) or is the mirror's own (EINVAL; it is left
   * alone then). The log goes on all the same, with nothing in sync if it could not be read, for the kernel only warns.
   */
  async resume(): Promise<void> {
    if (this.running) return;
    // "all in sync" of what was before would end the kernel's recovery of what is not any more
    this.known = false;
    const failure = await this.#takeUp((contents) => {
      const { bits, valid } = contents ?? { bits: NOTHING, valid: 0 };
      const rest = contents !== undefined && this.#words.sync === "nosync";
      this.shared.load(bits, valid, rest, this.shared);
      this.#heed(this.context.predecessor());
    });
    if (failure) throw failure;
  }

  /** Says "clean" of what may be called so, within 5 s. From then on, the device is left alone. */
  async postsuspend(): Promise<void> {
    if (!this.running) return;
    await this.#rounds.finish(LAST_ROUND_LIMIT);
    // what could not be written before may be now; its failure is reported
    await this.#writer.flush().catch(() => undefined);
    this.running = false;
    await this.#writer.hold(this.#notRunning());
  }

  close(): Promise<void> {
    return this.detach();
  }

  async detach(): Promise<void> {
    this.#ended = true;
    this.running = false;
    this.#rounds.stop();
    await this.#writer.hold(this.#notRunning());
    await this.#device.close();
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** A failed region is dirty on the log device when it has ended. */
  async setRegionSync(region: number, inSync: boolean): Promise<void> {
    this.settle(region, inSync);
    if (!inSync && this.running) await this.#writer.flush();
  }

  /** `D`: the log device failed; `F`: a flush of the legs' caches did. */
  status(): string {
    return `3 ${this.context.type} ${this.#device.number ?? "0:0"} ${this.#health()}`;
  }

  describe(): LogDescription {
    const { inSync, marked, clean } = this.known ? this.shared.counts() : { inSync: 0, marked: 0, clean: 0 };
    return {
      inSync,
      marked,
      dirty: this.regionCount - clean,
      health: this.#health(),
      legs: this.#legs,
      logDevice: this.#device.number,
    };
  }

  /** Whether the log device does not say all that this log's memory does. */
  get #ahead(): boolean {
    return this.#writer.failed || this.shared.pending().length > 0;
  }

  #health(): "A" | "D" | "F" {
    if (this.#writer.failed) return "D";
    return this.#rounds.failed ? "F" : "A";
  }

  #notRunning(): ClogError {
    return this.#error(constants.errno.EIO, "write", "the mirror is not running, so its log device is left alone");
  }

  #error(errno: number, syscall: string, hint: string): ClogError {
    return new ClogError({ errno: -errno, syscall, path: this.#device.name, hint });
  }

  async #begin(): Promise<void> {
    const { origin, resumed } = this.context;
    if (origin !== "rebuilt" && !resumed) {
      // so the first resume is of what the log device says, unless the table's `sync` forbids it
      if (origin === "new") this.shared.load(NOTHING, 0, this.#words.sync !== "sync");
      await this.#writer.hold(this.#notRunning());
      return;
    }
    // what fails is reported, and the mirror goes on
    if (origin === "restored") {
      await this.#takeUp();
      return;
    }
    await this.#takeUp((contents) => {
      this.shared.load(contents?.bits ?? NOTHING, contents?.valid ?? 0, false);
    });
    this.reportBlocked();
  }

  // The devices of a mirror that is to run, or runs. `load` gets what the log device says, or undefined when it says
  // nothing; without it, memory holds what is true. What failed is reported.
  async #takeUp(load?: (contents: LogContents | undefined) => void): Promise<Error | undefined> {
    // a device that failed may have been replaced
    if (this.#writer.failed) await this.#device.close();
    const mirrors = await this.#findMirrors();
    let failure: Error | undefined;
    let own = false;
    let contents: LogContents | undefined;
    try {
      const { number } = await this.#device.open();
      own = mirrors.some(({ device }) => `${device.major}:${device.minor}` === number) || this.#legs.includes(number);
      if (own) throw this.#error(constants.errno.EINVAL, "RESUME", "a log cannot be on its mirror or on a leg of it");
      if (load) contents = await this.#device.read();
    } catch (error) {
      failure = error as Error;
    }
    if (this.#ended) {
      await this.#device.close();
      throw this.#notRunning();
    }
    load?.(contents);
    this.resync.restart();
    this.known = this.running = true;
    if (own && failure) await this.#writer.hold(failure);
    else this.#writer.release(load && this.#headOf(contents));
    if (load) {
      await this.#writer.flush().catch((error: unknown) => {
        failure ??= error as Error;
      });
    }
    if (failure) this.#writer.fail(failure);
    if (mirrors.length > 0) await this.#startRounds();
    return failure;
  }

  // What stands before the bits, unless it makes just these count already.
  #headOf(contents: LogContents | undefined): Uint8Array | undefined {
    if (!contents) return new Uint8Array(BITS_OFFSET);
    return contents.regions === this.regionCount ? undefined : contents.head;
  }

  // None: it is reported, and nothing is called clean any more before the next resume.
  async #findMirrors(): Promise<Mirror[]> {
    const { uuid } = this.context;
    this.#legs = [];
    try {
      const mirrors = await within(LOOK_UP_LIMIT, findMirrors(uuid), "ioctl", "device-mapper does not answer");
      const legs = mirrors.flatMap(({ parsed }) => parsed.legs.map((leg) => leg.device));
      this.#legs = [...new Set(legs)];
      if (mirrors.length > 0) return mirrors;
      throw new ClogError({ errno: -constants.errno.ENXIO, syscall: "ioctl", uuid, hint: "no mirror uses the log" });
    } catch (error) {
      this.context.report({ kind: "legs-unknown", error: error as Error });
      return [];
    }
  }

  async #startRounds(): Promise<void> {
    const opening = Legs.open(this.#legs, this.#find);
    try {
      const legs = await within(LOOK_UP_LIMIT, opening, "open", "a leg of the mirror does not answer");
      if (this.#ended) legs.close();
      else this.#rounds.start(legs);
    } catch (error) {
      if (!this.#ended) this.#rounds.fail(error as Error);
      opening.then(
        (late) => {
          late.close();
        },
        () => undefined,
      );
    }
  }

  // A predecessor whose log device failed knows of regions that are dirty and that the device may call clean.
  #heed(predecessor: DirtyLog | undefined): void {
    if (!(predecessor instanceof DiskLog) || predecessor === this || !predecessor.#ahead) return;
    const same = predecessor.regionSize === this.regionSize;
    const limit = same ? Math.min(this.regionCount, predecessor.regionCount) : this.regionCount;
    for (let region = 0; region < limit; region++) {
      if (!same || !predecessor.shared.isClean(region)) this.shared.setSync(region, false);
    }
  }
}

/** Makes a {@link DiskLog}. */
export const diskLog: LogFactory = (context) => DiskLog.create(context);
