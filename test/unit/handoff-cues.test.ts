import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

interface Keeper {
  lvb: Uint8Array;
  lvbValid: boolean;
  convert: (mode: string) => Promise<void>;
}

interface Cues {
  readonly wait: (cue: number, seconds?: number) => Promise<void>;
}

interface CuesModule {
  readonly Cues: { open: (ls: { lock: () => Promise<Keeper> }) => Promise<Cues> };
}

const FILE = pathToFileURL(path.resolve(__dirname, "../../examples/handoff/cues.mjs")).href;

describe("examples/handoff: cues", () => {
  async function cues(keeper: Partial<Keeper>): Promise<Cues> {
    const { Cues } = (await import(FILE)) as CuesModule;
    const lock = { lvb: Uint8Array.of(0), lvbValid: true, convert: () => Promise.resolve(), ...keeper };
    return Cues.open({ lock: () => Promise.resolve(lock) });
  }

  it("come when the value has grown to them", async () => {
    const lvb = Uint8Array.of(0);
    let reads = 0;
    const convert = (): Promise<void> => {
      lvb[0] = reads++;
      return Promise.resolve();
    };
    await (await cues({ lvb, convert })).wait(4);
    assert.ok(lvb[0]! >= 4);
  });

  it("that cannot come any more, the value being lost, are not waited for", async () => {
    const began = Date.now();
    await assert.rejects((await cues({ lvbValid: false })).wait(1), /cue 1 cannot come: .*lost/);
    assert.ok(Date.now() - began < 1000);
  });

  it("that do not come in time are an error", async () => {
    await assert.rejects((await cues({})).wait(1, 0.05), /cue 1 did not come within 0.05 s/);
  });
});
