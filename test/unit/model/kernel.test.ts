import assert from "node:assert/strict";

import type { KernelEvent } from "../../model/granting";
import { cancel, convert, drop, request, unlock } from "../../model/operations";
import { KernelLock, type Request, Resource } from "../../model/queues";
import { CR, CW, EX, NL, PR, PW, modeName } from "../../model/tables";

// What the model says of the kernel, in cases whose answer the kernel's source or documentation gives.
describe("the model of the kernel", () => {
  let resource: Resource;
  let told: string[];
  const names = new Map<KernelLock, string>();

  const tell = (event: KernelEvent): void => {
    const name = names.get(event.lock) ?? "?";
    told.push(event.kind === "notice" ? `${name} blocks ${modeName(event.mode)}` : `${name} ${event.status}`);
  };

  function lock(name: string, mode: number, more: Partial<Request> = {}): KernelLock {
    const made = new KernelLock(resource, 0, { mode, value: { takesPart: false }, listens: true, ...more });
    names.set(made, name);
    request(resource, made, tell);
    return made;
  }

  function change(which: KernelLock, mode: number, more: Partial<Request> = {}): void {
    which.ask({ mode, value: { takesPart: false }, listens: true, ...more });
    convert(resource, which, tell);
  }

  function heard(): string[] {
    return told.splice(0);
  }

  beforeEach(() => {
    resource = new Resource("r");
    told = [];
    names.clear();
  });

  it("grants what is compatible, queues the rest in order, and tells who is in the way", () => {
    const a = lock("a", PR);
    lock("b", PR);
    lock("c", EX);
    lock("d", CR);
    assert.deepEqual(heard(), ["a granted", "b granted", "b blocks EX", "a blocks EX"]);
    assert.deepEqual(
      resource.waiting.map((waiting) => names.get(waiting)),
      ["c", "d"],
    );
    unlock(resource, a, undefined, tell);
    assert.deepEqual(heard(), ["a EUNLOCK"], "b has been told before");
  });

  it("makes even NL wait behind others, unless it is expedited", () => {
    lock("a", EX);
    lock("b", EX);
    lock("c", NL);
    lock("d", NL, { expedite: true });
    assert.deepEqual(heard(), ["a granted", "a blocks EX", "d granted"]);
    assert.equal(resource.waiting.length, 2);
  });

  it("converts in place past what waits, but not past a conversion when it is to queue", () => {
    const a = lock("a", CR);
    const b = lock("b", CR);
    const c = lock("c", NL);
    lock("w", EX);
    change(a, EX);
    heard();
    change(c, CR);
    assert.deepEqual(heard(), ["c granted", "c blocks EX"], "b has been told before");
    change(c, NL);
    heard();
    change(c, CR, { queueConvert: true, deadlock: "wait" });
    assert.deepEqual(heard(), [], "the conversion of a comes first");
    unlock(resource, b, undefined, tell);
    assert.deepEqual(heard().slice(0, 2), ["b EUNLOCK", "a granted"]);
  });

  it("refuses the conversion that closes a circle, or demotes it", () => {
    const a = lock("a", PR);
    const b = lock("b", PR);
    change(a, EX);
    heard();
    change(b, EX);
    assert.deepEqual(heard(), ["b EDEADLK"]);
    assert.equal(b.granted, PR);
    change(b, EX, { deadlock: "demote" });
    assert.deepEqual(heard(), ["a granted", "a blocks EX"]);
    assert.deepEqual([a.granted, b.granted, b.queue, b.demoted], [EX, NL, "converting", true]);
  });

  it("grants another mode where one was named", () => {
    lock("a", PR);
    const b = lock("b", EX, { altMode: "PR" });
    assert.deepEqual([b.granted, b.altered], [PR, true]);
  });

  it("cancels what waits and leaves alone what is granted", () => {
    const a = lock("a", PW);
    const b = lock("b", CW);
    cancel(resource, a, tell);
    cancel(resource, b, tell);
    assert.deepEqual(heard(), ["a granted", "a blocks CW", "b ECANCEL"]);
    change(a, EX);
    const c = lock("c", CR);
    cancel(resource, c, tell);
    assert.deepEqual(heard(), ["a granted", "a blocks CR", "c ECANCEL"]);
  });

  it("keeps the mode that a refused conversion asked for, and orders later grants by it", () => {
    const a = lock("a", CR);
    lock("b", CR);
    change(a, EX, { noQueue: true });
    assert.deepEqual([heard().at(-1), a.granted, a.requested], ["a EAGAIN", CR, EX]);
    lock("c", CR);
    assert.deepEqual(
      resource.granted.map((granted) => names.get(granted)),
      ["c", "b", "a"],
    );
    resource.granted.splice(0, 2);
    lock("d", CR);
    assert.deepEqual(
      resource.granted.map((granted) => names.get(granted)),
      ["a", "d"],
    );
  });

  it("tells PR of CW for which no number speaks", () => {
    lock("a", PR);
    lock("b", CW);
    lock("c", PR);
    assert.deepEqual(heard(), ["a granted", "a blocks CW"]);
    const d = lock("d", CW, { noQueue: true, noQueueBast: true });
    assert.deepEqual([heard(), d.queue], [["d EAGAIN", "a blocks CW"], undefined]);
  });

  it("writes, reads and flags the value", () => {
    const bytes = new Uint8Array(32).fill(7);
    const keeper = lock("k", NL);
    const writer = lock("w", EX);
    change(writer, NL, { value: { takesPart: true, write: bytes } });
    assert.deepEqual([resource.value, resource.invalid], [bytes, false]);
    change(writer, PW);
    drop(resource, writer, tell);
    assert.deepEqual([resource.value, resource.invalid], [bytes, true]);
    const reader = lock("r", EX, { value: { takesPart: true } });
    unlock(resource, reader, new Uint8Array(32), tell);
    assert.deepEqual([resource.value, resource.invalid], [new Uint8Array(32), false]);
    unlock(resource, keeper, undefined, tell);
    assert.equal(resource.value, undefined, "it goes with the last lock");
  });
});
