import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { LabError } from "../../../lib/lab/errors";
import { Cache } from "../../../lib/lab/image/cache";
import { command } from "../../../lib/lab/image/command";

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
    assert.deepEqual(readdirSync(path.join(root, "e")).sort(), [".contents.json", "half", "whole"]);
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
    assert.deepEqual(readdirSync(root).sort(), ["in-use", "lock"]);
    await open().entry("e", "", async () => Promise.resolve());
    assert.deepEqual(readdirSync(root).sort(), ["e", "in-use", "lock"]);
  });

  it("leaves nothing of a build that was interrupted", async () => {
    const stop = new AbortController();
    const building = open(stop.signal).entry("e", "", async () => {
      stop.abort(new Error("interrupted"));
      return Promise.resolve();
    });
    await assert.rejects(building, /interrupted/);
    assert.deepEqual(readdirSync(root).sort(), ["in-use", "lock"]);
  });

  it("clears away what a killed lab has left", async () => {
    mkdirSync(path.join(root, "partial-dead/sub"), { recursive: true });
    await open().entry("e", "", async () => Promise.resolve());
    assert.deepEqual(readdirSync(root).sort(), ["e", "in-use", "lock"]);
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

  describe("an entry that is damaged", () => {
    async function fill(directory: string): Promise<void> {
      writeFileSync(path.join(directory, "file"), "content");
      mkdirSync(path.join(directory, "sub"));
      writeFileSync(path.join(directory, "sub/file"), "content");
      symlinkSync("nowhere", path.join(directory, "link"));
      return Promise.resolve();
    }
    const damages: Record<string, (entry: string) => void> = {
      "lacks a file": (entry) => {
        rmSync(path.join(entry, "sub/file"));
      },
      "lacks a directory": (entry) => {
        rmSync(path.join(entry, "sub"), { recursive: true });
      },
      "lacks a link": (entry) => {
        rmSync(path.join(entry, "link"));
      },
      "has a file cut short": (entry) => {
        writeFileSync(path.join(entry, "file"), "cont");
      },
      "lacks its list of contents": (entry) => {
        rmSync(path.join(entry, ".contents.json"));
      },
      "has an empty list of contents": (entry) => {
        writeFileSync(path.join(entry, ".contents.json"), "");
      },
      "is not a directory": (entry) => {
        rmSync(entry, { recursive: true });
        writeFileSync(entry, "");
      },
    };
    for (const [what, damage] of Object.entries(damages)) {
      it(`because it ${what} is made anew`, async () => {
        const said: string[] = [];
        const cache = open(undefined, (line) => said.push(line));
        const entry = await cache.entry("e", "making e", fill);
        await cache.entry("e", "making e", () => assert.fail("it is whole"));
        damage(entry);
        await cache.entry("e", "making e", fill);
        assert.deepEqual(said, ["making e", "making e: the one in the cache is damaged"]);
        assert.deepEqual(readdirSync(entry).sort(), [".contents.json", "file", "link", "sub"]);
        assert.deepEqual(readdirSync(root).sort(), ["e", "in-use", "lock"]);
      });
    }

    it("stays when it cannot be made anew", async () => {
      const entry = await open().entry("e", "", fill);
      rmSync(path.join(entry, "file"));
      await assert.rejects(
        open().entry("e", "", async () => Promise.reject(new Error("no network"))),
        /no network/,
      );
      assert.deepEqual(readdirSync(entry).sort(), [".contents.json", "link", "sub"]);
    });
  });

  it("writes nothing when the entry is there", async () => {
    const build = async (): Promise<void> => Promise.resolve();
    await open().entry("e", "", build);
    rmSync(path.join(root, "lock"));
    rmSync(path.join(root, "in-use"));
    await open().entry("e", "", build);
    assert.deepEqual(readdirSync(root), ["e"]);
  });

  it("says how to get a cache that can be written", async () => {
    // what even root cannot write
    writeFileSync(path.join(root, "file"), "");
    const cache = new Cache(path.join(root, "file/cache"), new AbortController().signal, () => undefined);
    await assert.rejects(
      cache.entry("e", "", async () => Promise.resolve()),
      /^LabError: cannot write the cache \(.*\): set XDG_CACHE_HOME to a directory you own$/,
    );
  });

  const full: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    "Node's own writes": async () => writeFile("/dev/full", "x"),
    "a tool": async (signal) => command(["cp", "/proc/self/status", "/dev/full"], { signal }),
    "a tool in a pipe": async (signal) => command(["sh", "-c", "echo x | gzip >/dev/full"], { signal }),
    apt: async (signal) =>
      command(["sh", "-c", "echo 'E: You don'\\''t have enough free space in /x.' >&2; exit 100"], { signal }),
  };
  for (const [who, write] of Object.entries(full)) {
    it(`calls a disk full that is full for ${who}`, async () => {
      const { signal } = new AbortController();
      const building = open().entry("e", "", async () => {
        await write(signal);
      });
      await assert.rejects(building, (error) => {
        assert.ok(error instanceof LabError);
        assert.ok(error.message.startsWith(`no space is left on the disk of ${root}: `), error.message);
        return true;
      });
      assert.deepEqual(readdirSync(root).sort(), ["in-use", "lock"]);
    });
  }
});
