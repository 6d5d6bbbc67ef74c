// Cues between the nodes of a story, made of nothing but a lock's value block: a number that only grows.
import { setTimeout as sleep } from "node:timers/promises";

export class Cues {
  #ls;
  #keeper;

  static async open(ls) {
    const cues = new Cues();
    cues.#ls = ls;
    // A value block lives only as long as some lock stands on its resource: this one stays.
    cues.#keeper = await ls.lock("cues", { mode: "NL", lvb: true });
    return cues;
  }

  /** Tells every node that the story has come to `cue`. */
  async give(cue) {
    const lock = await this.#ls.lock("cues", { mode: "EX", lvb: Uint8Array.of(cue) });
    await lock.release();
  }

  /** Waits until the story has come to `cue`; rejects after `seconds`. */
  async wait(cue, seconds = 60) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      await this.#keeper.convert("CR");
      const { lvb, lvbValid } = this.#keeper;
      const now = lvb[0];
      await this.#keeper.convert("NL");
      // the number will not come back: its keeper has left, or its writer died
      if (lvbValid === false) throw new Error(`cue ${cue} cannot come: the value that counts the cues was lost`);
      if (now >= cue) return;
      if (Date.now() > end) throw new Error(`cue ${cue} did not come within ${seconds} s`);
      await sleep(25);
    }
  }
}
