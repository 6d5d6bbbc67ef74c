import assert from "node:assert/strict";
import { mock } from "node:test";

import fc from "fast-check";

import { DiskLog } from "../../../../lib/clog/log/disk-log";
import { runs } from "../../dlmfs/support";

import { type FakeDisk, FakeHost, cleanOnDisk, kernelLog, turns } from "./fake-host";
import { useAddon } from "../../../../lib/native";

// the bits fill one page, and a sector of another
const COUNT = 8 * (3072 + 512);
const REGIONS = [0, 1, 63, 64, 4095, 4096, 8191, 24575, 24576, 24577, COUNT - 1];
const SIZE = 8192;
const CLEAR_DELAY = 5000;

type Step =
  | { kind: "mark" | "clear"; region: number }
  | { kind: "sync"; region: number; inSync: boolean }
  | { kind: "flush" | "round" | "log-ends" | "log-fails" | "leg-ends" | "leg-fails" | "restart" | "suspend" };

const region = fc.constantFrom(...REGIONS);
const plain = (weight: number, ...kinds: Exclude<Step, { region: number }>["kind"][]): fc.WeightedArbitrary<Step> => ({
  weight,
  arbitrary: fc.record({ kind: fc.constantFrom(...kinds) }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("mark" as const, "clear" as const), region }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sync" as const), region, inSync: fc.boolean() }) },
  plain(6, "flush", "round", "log-ends", "leg-ends"),
  plain(1, "log-fails", "leg-fails", "restart", "suspend"),
);

/** Of which regions the legs may differ if the machine stops. Knows nothing of pages, rounds or restarts. */
class Legs {
  readonly #unsynced = new Set<number>();
  // by region, the number of the mark
  readonly #marks = new Map<number, number>();
  #lastMark = 0;
  readonly #mayDiffer = new Set<number>();
  // what the flush of the legs that is under way makes equal
  #settling = new Set<number>();

  resumed(log: DiskLog): void {
    this.#marks.clear();
    this.#unsynced.clear();
    for (const each of REGIONS.filter((each) => !log.inSync(each))) {
      this.#unsynced.add(each);
      this.#mayDiffer.add(each);
    }
  }

  mark(each: number): void {
    if (!this.#marks.has(each)) this.#marks.set(each, ++this.#lastMark);
    this.#settling.delete(each);
  }

  clear(each: number): void {
    this.#marks.delete(each);
  }

  /** To be called when a flush begins; what it gives, when it has ended well: the kernel writes. */
  flush(): () => void {
    const marks = new Map(this.#marks);
    return () => {
      for (const [each, mark] of marks) if (this.#marks.get(each) === mark) this.#mayDiffer.add(each);
    };
  }

  sync(each: number, inSync: boolean): void {
    if (inSync) this.#unsynced.delete(each);
    else this.#unsynced.add(each);
    if (!inSync) this.#settling.delete(each);
  }

  /** The kernel writes to one leg of it. */
  failed(each: number): void {
    if (this.#unsynced.has(each)) this.#mayDiffer.add(each);
  }

  flushing(): void {
    this.#settling = new Set(REGIONS.filter((each) => !this.#unsynced.has(each) && !this.#marks.has(each)));
  }

  flushed(): void {
    for (const each of this.#settling) this.#mayDiffer.delete(each);
  }

  differing(): number[] {
    return REGIONS.filter((each) => this.#mayDiffer.has(each));
  }
}

class Play {
  readonly #host = new FakeHost();
  readonly #disk: FakeDisk;
  readonly #leg: FakeDisk;
  readonly #legs = new Legs();
  readonly #words: string;
  readonly #lands: Iterator<boolean>;
  #log!: DiskLog;

  constructor(nosync: boolean, lands: Iterator<boolean>) {
    this.#disk = this.#host.add("/dev/log", "1:2", SIZE);
    // the last regions are new
    const clean = REGIONS.filter((_, at) => at % 3 !== 0);
    this.#disk.content = kernelLog(SIZE, COUNT - 1, clean);
    this.#leg = this.#host.add("/dev/leg0", "1:0", SIZE);
    this.#leg.watch = (operation, phase) => {
      if (operation !== "flush") return;
      if (phase === "begin") this.#legs.flushing();
      else this.#legs.flushed();
    };
    this.#host.mirror("LVM-a", "clustered-disk /dev/log 2", ["1:0"]);
    this.#words = `/dev/log 2${nosync ? " nosync" : ""}`;
    this.#lands = lands;
  }

  async begin(): Promise<void> {
    this.#log = await this.#open("new");
    await this.#resume();
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case "mark":
        this.#log.mark([step.region]);
        this.#legs.mark(step.region);
        return;
      case "clear":
        this.#log.clear([step.region]);
        this.#legs.clear(step.region);
        return;
      case "sync":
        this.#legs.sync(step.region, step.inSync);
        this.#log.setRegionSync(step.region, step.inSync).then(
          () => {
            this.#legs.failed(step.region);
          },
          () => undefined,
        );
        return;
      case "flush":
        this.#log.flush().then(this.#legs.flush(), () => undefined);
        return;
      case "round":
        mock.timers.tick(CLEAR_DELAY);
        return;
      case "log-ends":
      case "log-fails":
        this.#disk.step(step.kind === "log-fails" ? -5 : 0);
        return;
      case "leg-ends":
      case "leg-fails":
        this.#leg.step(step.kind === "leg-fails" ? -5 : 0);
        return;
      case "suspend": {
        const suspend = this.#log.postsuspend();
        this.#release();
        await suspend;
        await this.#resume();
        return;
      }
      case "restart":
        this.stop();
        this.#log = await this.#open("restored");
    }
  }

  /** Of what was being written, some sectors have come to the disk, and nobody is told. */
  stop(): void {
    mock.timers.reset();
    mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
    this.#disk.crash(() => this.#lands.next().value as boolean);
    this.#leg.crash(() => false);
  }

  check(): void {
    const clean = new Set(cleanOnDisk(this.#disk.content, COUNT));
    const wrong = this.#legs.differing().filter((each) => clean.has(each));
    assert.deepEqual(wrong, [], "regions that the log device calls clean, and of which the legs may differ");
  }

  #open(origin: "new" | "restored"): Promise<DiskLog> {
    const state = { origin, resumed: origin === "restored" };
    const context = this.#host.context("clustered-disk", this.#words, 2 * COUNT, state);
    return DiskLog.create(context, { findDevice: this.#host.find, clearDelay: CLEAR_DELAY });
  }

  async #resume(): Promise<void> {
    await this.#log.resume();
    this.#legs.resumed(this.#log);
    this.#disk.held.add("write");
    this.#leg.held.add("flush");
  }

  #release(): void {
    for (const disk of [this.#disk, this.#leg]) {
      disk.held.clear();
      disk.step();
    }
  }
}

describe("a disk log, when the machine stops at any moment", () => {
  afterEach(() => {
    useAddon(undefined);
    mock.timers.reset();
  });

  it("calls no region clean of which the legs may differ", async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 80, size: "max" }),
        fc.infiniteStream(fc.boolean()),
        fc.boolean(),
        async (steps, lands, nosync) => {
          const play = new Play(nosync, lands);
          mock.timers.reset();
          mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
          await play.begin();
          for (const each of steps) {
            await play.take(each);
            await turns(3);
          }
          play.stop();
          play.check();
        },
      ),
      runs(200),
    );
  });
});
