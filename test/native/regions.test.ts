import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import fc from "fast-check";

import type { NativeRegions } from "../../lib/native";
import { type RegionFiles, RegionsModel } from "../unit/clog/regions-model";
import { runs } from "../unit/dlmfs/support";

import { loadDouble } from "./double";

const PAGE = 4096;
// of one word, of whole words, and of two pages
const COUNTS = [1, 63, 64, 100, 24576, 24577, 30000];

type Step =
  | { kind: "mark" | "clear"; regions: number[] }
  | { kind: "sync"; region: number; inSync: boolean }
  | { kind: "load"; bits: Uint8Array; valid: number; rest: boolean; also: "none" | "itself" | "other" }
  | { kind: "write" | "flush" | "begin" | "commit" | "abandon" | "stop" | "reopen" };

// the same few for the most part, so that much happens to each
const region = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(0, 1, 62, 24576) },
  { weight: 1, arbitrary: fc.oneof(fc.nat({ max: 30_010 }), fc.nat({ max: 130 }), fc.constantFrom(2 ** 31, 2 ** 40)) },
);
const regions = fc.array(region, { maxLength: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("mark" as const, "clear" as const), regions }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("sync" as const), region, inSync: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("load" as const),
      bits: fc.uint8Array({ maxLength: 20 }),
      valid: fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 40_000 })),
      rest: fc.boolean(),
      also: fc.constantFrom("none" as const, "itself" as const, "other" as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...(["write", "flush", "flush", "begin", "begin", "commit", "commit", "abandon", "reopen"] as const),
        ...(["write", "flush", "begin", "begin", "commit", "stop"] as const),
      ),
    }),
  },
);

describe("the regions of the addon", () => {
  const { addon } = loadDouble();
  let place: string;
  before(() => {
    place = mkdtempSync(path.join(tmpdir(), "clusterlock-regions-"));
  });
  after(() => {
    rmSync(place, { recursive: true });
  });

  it("are those of the model, whatever is done to them", () => {
    let file = 0;
    const count = fc.constantFrom(...COUNTS);
    fc.assert(
      fc.property(
        count,
        count,
        fc.boolean(),
        fc.array(step, { maxLength: 60, size: "max" }),
        (one, other, durable, steps) => {
          const files: RegionFiles = new Map();
          const name = path.join(place, String(file++));
          const open = (): [NativeRegions, NativeRegions] => [
            addon.openRegions(one, durable, name),
            new RegionsModel(one, durable, name, files),
          ];
          let [real, model] = open();
          const others: [NativeRegions, NativeRegions] = [
            addon.openRegions(other, true),
            new RegionsModel(other, true),
          ];
          for (const each of others) {
            each.load(Buffer.alloc(Math.ceil(other / 8), 0xb7), other, false);
            each.mark([0, 3, 64, 24576]);
          }
          // what was got for a write, and has not been written yet
          let content: { page: number; bytes: Uint8Array } | undefined;
          assert.equal(real.restored, model.restored);
          for (const each of steps) {
            const both = [real, model];
            switch (each.kind) {
              case "mark":
              case "clear":
                for (const some of both) some[each.kind](each.regions);
                break;
              case "sync":
                for (const some of both) some.setSync(each.region, each.inSync);
                break;
              case "load":
                for (const [at, some] of both.entries()) {
                  const also = { none: undefined, itself: some, other: others[at] }[each.also];
                  if (also) some.load(each.bits, each.valid, each.rest, also);
                  else some.load(each.bits, each.valid, each.rest);
                }
                content = undefined;
                break;
              case "write":
              case "flush": {
                // a write that ends late, with what the page was when it began
                if (content) for (const some of both) some.written(content.page, content.bytes);
                content = undefined;
                for (const page of model.pending()) {
                  const [bytes, expected] = [new Uint8Array(PAGE), new Uint8Array(PAGE)];
                  real.page(page, bytes);
                  model.page(page, expected);
                  assert.deepEqual(bytes, expected);
                  content = { page, bytes };
                  if (each.kind === "write") break;
                  for (const some of both) some.written(page, bytes);
                  content = undefined;
                }
                break;
              }
              case "begin":
                assert.equal(real.beginClears(), model.beginClears());
                break;
              case "commit":
                assert.deepEqual(real.commitClears(), model.commitClears());
                break;
              case "abandon":
                for (const some of both) some.abandonClears();
                break;
              case "stop":
                for (const some of both) some.stopClears();
                break;
              case "reopen":
                for (const some of both) some.close();
                content = undefined;
                [real, model] = open();
                assert.deepEqual([real.restored, model.restored], [true, true]);
            }
            assert.deepEqual(real.counts(), model.counts(), each.kind);
            assert.deepEqual(real.pending(), model.pending(), each.kind);
            assert.equal(real.clearsStopped(), model.clearsStopped(), each.kind);
            assert.equal(real.nextUnsynced(0), model.nextUnsynced(0));
          }
          assert.deepEqual([real.count, real.pages], [model.count, model.pages]);
          for (const at of [0, 1, 62, 63, 64, 65, 99, 24575, 24576, 24577, one - 1, one, 2 ** 33]) {
            assert.deepEqual([real.isClean(at), real.inSync(at)], [model.isClean(at), model.inSync(at)], String(at));
            assert.equal(real.nextUnsynced(at), model.nextUnsynced(at), String(at));
          }
          for (const each of [real, model, ...others]) each.close();
          assert.throws(() => real.counts());
          rmSync(name);
        },
      ),
      runs(300),
    );
  });
});
