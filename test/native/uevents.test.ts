import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

import { DOUBLE_PATH, loadDouble } from "./double";

// What the kernel says about lockspaces is for the lab to see: this is about the listener itself.
describe("the listener to the kernel's announcements", () => {
  const { addon } = loadDouble();

  it("takes a function and nothing else", () => {
    assert.throws(() => addon.watchUevents(undefined as never), TypeError);
    assert.throws(() => new (Object.getPrototypeOf(watch()) as { constructor: new () => unknown }).constructor());
  });

  it("can be closed twice, and forgets what it is told afterwards", () => {
    const watcher = watch();
    watcher.close();
    watcher.close();
    watcher.setRef(true);
  });

  it("is as many as are asked for", () => {
    const watchers = Array.from({ length: 50 }, watch);
    for (const watcher of watchers) watcher.close();
  });

  for (const [on, ends] of [
    [false, true],
    [true, false],
  ] as const) {
    it(on ? "keeps the process alive when it is told to" : "does not keep the process alive", () => {
      const program = `
        const { watchUevents } = require(${JSON.stringify(DOUBLE_PATH)});
        watchUevents(() => undefined).setRef(${on});
        setTimeout(() => process.exit(3), 300).unref();`;
      const run = (): unknown => execFileSync(process.execPath, ["-e", program], { timeout: 10_000 });
      if (ends) run();
      else assert.throws(run, { status: 3 });
    });
  }

  function watch(): ReturnType<typeof addon.watchUevents> {
    return addon.watchUevents(() => undefined);
  }
});
