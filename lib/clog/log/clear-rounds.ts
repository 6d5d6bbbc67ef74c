import type { NativeRegions } from "../../native";

import type { Legs } from "./legs";
import type { PageWriter } from "./page-writer";
import { within } from "./within";

interface Round {
  stale: boolean;
  readonly done: Promise<void>;
}

/**
 * Makes the log device say "clean" of regions whose writes have ended, or that have been recovered. Now and then is enough:
 * nothing is lost by a region that is called dirty for longer, and the next write to it finds it so. The legs' caches are
 * flushed first, for what is in them can be lost of one leg and not of the other.
 */
export class ClearRounds {
  readonly #regions: NativeRegions;
  readonly #writer: PageWriter;
  readonly #delay: number;
  readonly #onFailure: (error: Error) => void;
  #legs: Legs | undefined;
  #timer: NodeJS.Timeout | undefined;
  #round: Round | undefined;

  constructor(regions: NativeRegions, writer: PageWriter, delay: number, onFailure: (error: Error) => void) {
    this.#regions = regions;
    this.#writer = writer;
    this.#delay = delay;
    this.#onFailure = onFailure;
  }

  /** A flush of the legs failed: there are no more rounds before the next resume (dm-log.c: flush_failed). */
  get failed(): boolean {
    return this.#regions.clearsStopped();
  }

  start(legs: Legs): void {
    this.#legs = legs;
    this.#timer = setInterval(() => {
      // a flush that lasts is waited for
      if (!this.#round) this.#begin();
    }, this.#delay).unref();
  }

  /** There are no rounds before the next resume. */
  fail(error: Error): void {
    this.#regions.stopClears();
    this.#onFailure(error);
  }

  /** The last rounds, for at most so long: what is under way, and one that takes what has come since. */
  async finish(milliseconds: number): Promise<void> {
    clearInterval(this.#timer);
    const legs = this.#legs;
    const rounds = async (): Promise<void> => {
      await this.#round?.done;
      // too late, it would take regions into the next resume's round whose legs are being flushed already
      if (this.#legs !== legs) return;
      this.#begin();
      await this.#round?.done;
    };
    const hint = "the legs did not flush their caches in time: some regions stay dirty";
    if (this.#legs) {
      await within(milliseconds, rounds(), "fsync", hint).catch((error: unknown) => {
        this.fail(error as Error);
      });
    }
    this.stop();
  }

  /** Whatever is under way changes nothing any more. */
  stop(): void {
    clearInterval(this.#timer);
    if (this.#round) {
      this.#round.stale = true;
      this.#round = undefined;
      this.#regions.abandonClears();
    }
    this.#legs?.close();
    this.#legs = undefined;
  }

  #begin(): void {
    const legs = this.#legs;
    if (!legs || this.#regions.beginClears() === 0) return;
    const round: Round = { stale: false, done: Promise.resolve().then(() => this.#run(legs, round)) };
    this.#round = round;
  }

  async #run(legs: Legs, round: Round): Promise<void> {
    try {
      await legs.flush();
    } catch (error) {
      if (round.stale) return;
      this.#round = undefined;
      this.fail(error as Error);
      return;
    }
    // a failing write is the writer's to report
    await this.#writer.write(() => (round.stale ? [] : this.#regions.commitClears())).catch(() => undefined);
    if (this.#round === round) this.#round = undefined;
  }
}
