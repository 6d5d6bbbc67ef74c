import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const root = path.resolve(__dirname, "../..");

// The documented build from source, in a package as the tarball lays it out.
describe("a source build", function () {
  this.timeout(240_000);
  let place: string;
  let home: string;

  beforeEach(() => {
    place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-build-"));
    const modules = path.join(place, "a path with blanks", "node_modules");
    home = path.join(modules, "clusterlock");
    for (const name of ["package.json", "csrc", "scripts/build-native.mjs"]) {
      cpSync(path.join(root, name), path.join(home, name), { recursive: true });
    }
    // copied, not linked: the compiler must meet its headers under the path with blanks
    cpSync(path.join(root, "node_modules/node-addon-api"), path.join(modules, "node-addon-api"), { recursive: true });
    symlinkSync(path.join(root, "node_modules/node-gyp"), path.join(modules, "node-gyp"));
  });

  afterEach(() => {
    rmSync(place, { recursive: true, force: true });
  });

  const build = (env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, ["scripts/build-native.mjs"], {
      cwd: home,
      encoding: "utf8",
      timeout: 230_000,
      // what is compiled matters here, not how well
      env: { ...process.env, CXXFLAGS: "-O0", ...env },
    });

  it("works in a path with blanks, and leaves no binding.gyp that npm would take for an install script", () => {
    const { status, stdout, stderr } = build();
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
    const addon = path.join(home, "build/Release/clusterlock.node");
    const load = spawnSync(process.execPath, ["-e", `console.log(typeof require(${JSON.stringify(addon)}))`]);
    assert.equal(load.stdout.toString(), "object\n", load.stderr.toString());
    assert.equal(existsSync(path.join(home, "binding.gyp")), false);
  });

  it("that fails shows what the tool said, and ends with one line and 69", () => {
    writeFileSync(path.join(home, "csrc/sources.gypi"), "{ this is no list\n");
    const { status, stderr } = build();
    assert.equal(status, 69);
    assert.match(stderr, /sources\.gypi/);
    assert.match(stderr, /\nclusterlock: the build failed: node-gyp ended with 1\n$/);
    assert.equal(existsSync(path.join(home, "binding.gyp")), false);
  });

  it("that is interrupted cleans up after itself, and ends with 128 and the signal's number", async () => {
    const bin = path.join(place, "bin");
    mkdirSync(bin);
    writeFileSync(path.join(bin, "make"), "#!/bin/sh\necho compiling >&2\nexec sleep 60\n");
    chmodSync(path.join(bin, "make"), 0o755);
    const child = spawn(process.execPath, ["scripts/build-native.mjs"], {
      cwd: home,
      env: { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` },
      stdio: ["ignore", "ignore", "pipe"],
    });
    await once(child.stderr, "data");
    const end = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await end, [143, null]);
    assert.equal(existsSync(path.join(home, "binding.gyp")), false);
  });
});
