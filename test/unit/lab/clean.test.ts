import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";

import { LabError } from "../../../lib/lab/errors";
import { cleanCache } from "../../../lib/lab/image/clean";
import { Cache } from "../../../lib/lab/image/cache";
import { useCache } from "../../../lib/lab/image/in-use";
import { put, useTempDir } from "./temp-dir";

describe("lab: cleaning the cache", () => {
  const temp = useTempDir();
  const { signal } = new AbortController();
  const root = (): string => path.join(temp(), "clusterlock");

  it("removes all there is, and says how much that was", async () => {
    const cache = new Cache(root(), signal, () => undefined);
    await cache.entry("kernel-2-x", "", async (directory) => {
      put(directory, "deep/file", Buffer.alloc(100_000, 1));
      return Promise.resolve();
    });
    put(root(), path.join("packages-0123", "root", "etc", "x"), "x");
    put(root(), "initramfs-0123/initramfs.gz", "x");
    put(root(), "boot-0123/image", "x");
    put(root(), "busybox-2-1.35/busybox", "x");
    put(root(), "partial-Ab12/half", "x");
    for (const name of ["plan.json", "plan.json.123", "accel.json"]) put(root(), name, "{}");
    const { freed, removed } = await cleanCache(root());
    assert.equal(existsSync(root()), false);
    assert.deepEqual(
      removed.map(({ name }) => name),
      [
        ...["accel.json", "boot-0123", "busybox-2-1.35", "initramfs-0123", "kernel-2-x", "packages-0123"],
        ...["partial-Ab12", "plan.json", "plan.json.123"],
      ],
    );
    const kernel = removed.find(({ name }) => name === "kernel-2-x")?.size ?? 0;
    assert.ok(kernel > 100_000 && kernel < 200_000, String(kernel));
    assert.equal(
      freed,
      removed.reduce((sum, { size }) => sum + size, 0),
    );
  });

  it("leaves what is not ours", async () => {
    put(root(), "boot-0123/image", "x");
    for (const name of ["thesis.tex", "kernel/x", "accel.json.bak", "packages", "my-partial-x"]) put(root(), name, "x");
    await cleanCache(root());
    assert.deepEqual(readdirSync(root()).sort(), [
      "accel.json.bak",
      "kernel",
      "my-partial-x",
      "packages",
      "thesis.tex",
    ]);
  });

  it("has nothing to do without a cache", async () => {
    assert.deepEqual(await cleanCache(root()), { freed: 0, removed: [] });
    assert.equal(existsSync(root()), false);
  });

  async function refused(): Promise<void> {
    await assert.rejects(cleanCache(root()), (error) => {
      assert.ok(error instanceof LabError);
      assert.equal(error.message, `a lab uses the cache ${root()}: end it, then clean`);
      return true;
    });
    assert.ok(existsSync(path.join(root(), "boot-0123/image")));
  }

  it("is refused as long as any lab uses the cache", async () => {
    put(root(), "boot-0123/image", "x");
    const one = await useCache(root(), signal);
    const other = await useCache(root(), signal);
    await refused();
    await one.release();
    await refused();
    await other.release();
    await other.release();
    await cleanCache(root());
    assert.equal(existsSync(root()), false);
  });

  it("is refused while a lab builds", async () => {
    put(root(), "boot-0123/image", "x");
    const cache = new Cache(root(), signal, () => undefined);
    await cache.entry("e", "", refused);
  });

  it("is possible again when a lab was killed", async () => {
    put(root(), "boot-0123/image", "x");
    const program = `
      const { useCache } = require(${JSON.stringify(path.resolve("lib/lab/image/in-use.ts"))});
      useCache(${JSON.stringify(root())}, new AbortController().signal).then(() => console.log("held"));
      setInterval(() => {}, 1000);
    `;
    const lab = spawn(process.execPath, ["--import", "tsx", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    await once(lab.stdout, "data");
    await refused();
    lab.kill("SIGKILL");
    await once(lab, "close");
    for (let attempt = 0; existsSync(root()); attempt++) {
      // flock(1) sees the end of its input a moment later
      await cleanCache(root()).catch(async (error: unknown) => {
        if (attempt > 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      });
    }
  });

  it("lets a lab that comes meanwhile wait, and then make a new cache", async () => {
    for (let round = 0; round < 20; round++) {
      put(root(), "boot-0123/image", "x");
      const [, held] = await Promise.all([cleanCache(root()).catch(() => undefined), useCache(root(), signal)]);
      // whoever was first, what is held now protects the cache
      put(root(), "boot-0123/image", "x");
      await refused().finally(held.release);
    }
  });

  it("asks nothing of a cache that cannot be made", async () => {
    put(temp(), "clusterlock", "a file");
    const { release } = await useCache(path.join(root(), "cache"), signal);
    await release();
    assert.equal(readFileSync(root(), "utf8"), "a file");
    rmSync(root());
  });

  it("ends its wait when it is told to", async () => {
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    await assert.rejects(useCache(temp(), stop.signal), /enough/);
  });
});
