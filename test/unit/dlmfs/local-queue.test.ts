import assert from "node:assert/strict";

import fc from "fast-check";

import { LocalQueue, type Place } from "../../../lib/dlmfs/local-queue";
import type { DomainLockMode } from "../../../lib/dlmfs/lock-options";

describe("the queue in front of a name", () => {
  let log: string[];
  let queue: LocalQueue;

  beforeEach(() => {
    log = [];
    queue = new LocalQueue(() => {
      log.push("empty");
    });
  });

  function join(mode: DomainLockMode, who: string): Place {
    return queue.join(mode, () => log.push(who));
  }

  it("lets one writer or all readers in, in the order they came", () => {
    const first = join("EX", "w1");
    const reader = join("PR", "r1");
    const second = join("PR", "r2");
    const writer = join("EX", "w2");
    join("PR", "r3");
    assert.deepEqual(log, ["w1"]);
    first.leave();
    assert.deepEqual(log, ["w1", "empty", "r1", "r2"]);
    reader.leave();
    assert.deepEqual(log.length, 4);
    second.leave();
    assert.deepEqual(log.slice(4), ["empty", "w2"]);
    writer.leave();
    assert.deepEqual(log.slice(6), ["empty", "r3"]);
  });

  it("lets those behind a waiting writer in when he goes away", () => {
    join("PR", "r1");
    const writer = join("EX", "w");
    join("PR", "r2");
    writer.leave();
    assert.deepEqual(log, ["r1", "r2"]);
    writer.leave();
    assert.deepEqual(log, ["r1", "r2"]);
  });

  it("lets readers in when a writer becomes one of them", () => {
    const writer = join("EX", "w");
    join("PR", "r");
    join("EX", "w2");
    writer.share();
    assert.deepEqual(log, ["w", "r"]);
    assert.equal(writer.mode, "PR");
    writer.leave();
    assert.deepEqual(log, ["w", "r"]);
  });

  it("gives no place inside that somebody is in the way of, nor one before those who wait", () => {
    const reader = queue.tryJoin("PR")!;
    assert.equal(reader.inside, true);
    assert.equal(queue.tryJoin("EX"), undefined);
    const writer = join("EX", "w");
    assert.equal(queue.tryJoin("PR"), undefined);
    reader.leave();
    assert.equal(writer.inside, true);
    assert.equal(queue.tryJoin("PR"), undefined);
    writer.leave();
    assert.equal(queue.idle, true);
  });

  it("never holds a writer with anybody else, and forgets nobody, whatever comes and goes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom("PR", "EX", "leave", "share"), fc.nat(20)), { maxLength: 80 }),
        (steps) => {
          const inside = new Set<Place>();
          const waiting: { place: Place | undefined; mode: DomainLockMode }[] = [];
          const all: Place[] = [];
          const one = new LocalQueue(() => {
            assert.equal(inside.size, 0);
          });
          for (const [step, which] of steps) {
            const place = all[which % Math.max(all.length, 1)];
            if (step === "PR" || step === "EX") {
              const entry: { place: Place | undefined; mode: DomainLockMode } = { place: undefined, mode: step };
              waiting.push(entry);
              entry.place = one.join(step, () => {
                waiting.splice(waiting.indexOf(entry), 1);
                if (entry.place) inside.add(entry.place);
              });
              all.push(entry.place);
              if (entry.place.inside) inside.add(entry.place);
            } else if (place && step === "leave") {
              inside.delete(place);
              all.splice(all.indexOf(place), 1);
              const at = waiting.findIndex((entry) => entry.place === place);
              if (at >= 0) waiting.splice(at, 1);
              place.leave();
            } else if (place?.inside && step === "share") {
              place.share();
            }
            const modes = [...inside].map(({ mode }) => mode);
            assert.ok(modes.every((mode) => mode === "PR") || modes.length === 1, modes.join());
            assert.ok(inside.size > 0 || waiting.length === 0, "somebody waits for nobody");
            const head = waiting[0];
            if (head) assert.ok([head.mode, ...modes].includes("EX"), "a reader waits in front of readers only");
          }
        },
      ),
    );
  });
});
