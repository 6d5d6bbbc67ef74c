import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { Cache } from "../../../lib/lab/image/cache";

describe("lab: the image cache", () => {
  let root: string;

  function open(
    signal: AbortSignal = new AbortController().signal,
    progress: (line: string) => void = () => undefined,
  ) {
    return new Cache(root, signal, progress);
  }

  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), "clusterlock-cache-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  it("builds an entry once, for all that ask at the same time", async () => {
    let builds = 0;
    const build = async (directory: string): Promise<void> => {
      builds++;
      writeFileSync(path.join(directory, "half"), "");
      await new Promise((resolve) => setTimeout(resolve, 50));
      writeFileSync(path.join(directory, "whole"), "");
    };
    // two processes would have a Cache each
    const paths = await Promise.all([open().entry("e", "", build), open().entry("e", "", build)]);
    assert.deepEqual(paths, [path.join(root, "e"), path.join(root, "e")]);
    assert.equal(builds, 1);
    assert.deepEqual(readdirSync(path.join(root, "e")).sort(), ["half", "whole"]);
  });

  it("never shows an entry that is not whole", async () => {
    const building = open().entry("e", "", async (directory) => {
      writeFileSync(path.join(directory, "half"), "");
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(existsSync(path.join(root, "e")), false);
    });
    await building;
    assert.equal(existsSync(path.join(root, "e")), true);
  });

  it("leaves nothing of a build that failed, and lets the next one try", async () => {
    const failing = open().entry("e", "", async (directory) => {
      writeFileSync(path.join(directory, "half"), "");
      return Promise.reject(new Error("no network"));
    });
    await assert.rejects(failing, /no network/);
    assert.deepEqual(readdirSync(root), ["lock"]);
    await open().entry("e", "", async () => Promise.resolve());
    assert.deepEqual(readdirSync(root).sort(), ["e", "lock"]);
  });

  it("leaves nothing of a build that was interrupted", async () => {
    const stop = new AbortController();
    const building = open(stop.signal).entry("e", "", async () => {
      stop.abort(new Error("interrupted"));
      return Promise.resolve();
    });
    await assert.rejects(building, /interrupted/);
    assert.deepEqual(readdirSync(root), ["lock"]);
  });

  it("clears away what a killed lab has left", async () => {
    mkdirSync(path.join(root, "partial-dead/sub"), { recursive: true });
    await open().entry("e", "", async () => Promise.resolve());
    assert.deepEqual(readdirSync(root).sort(), ["e", "lock"]);
  });

  it("says what it waits for, and stops waiting when asked to", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let first: Promise<string> = Promise.resolve("");
    await new Promise<void>((begun) => {
      first = open().entry("a", "", async () => {
        begun();
        return held;
      });
    });
    const stop = new AbortController();
    const said: string[] = [];
    const second = open(stop.signal, (line) => {
      said.push(line);
      stop.abort(new Error("enough"));
    }).entry("b", "", async () => Promise.resolve());
    await assert.rejects(second);
    assert.match(said.join(), /waiting for another lab/);
    release();
    await first;
  });
});
