import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";

const root = path.resolve(__dirname, "../../..");

// On a machine that is missing things: a PATH with nothing but what a test puts there.
describe("set-up", function () {
  this.timeout(30_000);
  let place: string;
  let bin: string;

  beforeEach(() => {
    place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-setup-"));
    bin = path.join(place, "bin");
    mkdirSync(bin);
    for (const name of ["package.json", "package-lock.json", "binding.gyp", "scripts", "csrc"]) {
      cpSync(path.join(root, name), path.join(place, name), { recursive: true });
    }
    mkdirSync(path.join(place, "lib"));
    mkdirSync(path.join(place, "test/native/double"), { recursive: true });
    for (const program of ["sh", "cat", "setpriv"]) {
      const found = ["/usr/bin", "/bin"].map((dir) => path.join(dir, program)).find(existsSync);
      symlinkSync(found!, path.join(bin, program));
    }
  });

  afterEach(() => {
    rmSync(place, { recursive: true });
  });

  function program(name: string, script = ""): void {
    writeFileSync(path.join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(path.join(bin, name), 0o755);
  }

  function setUp(what: string, { uid }: { uid?: number } = {}) {
    // root for apt's way, or the caller who must not be asked to become root by a mere look
    const asUser = uid === undefined ? "" : `process.getuid = () => ${uid};`;
    writeFileSync(path.join(place, "uid.mjs"), asUser);
    const env = { PATH: bin, HOME: place, CALLS: path.join(place, "calls") };
    const args = ["--import", path.join(place, "uid.mjs"), path.join(place, "scripts/test.mjs"), what];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
    const calls = existsSync(env.CALLS) ? readFileSync(env.CALLS, "utf8") : "";
    return { status, stdout, stderr, calls };
  }

  const FAILED = "\n0 passed, 1 failed\n";

  it("asks a user for just what is missing, with one command, and ends with 69", () => {
    for (const name of ["make", "xz", "apt-get"]) program(name);
    const { status, stdout, stderr } = setUp("unit", { uid: 1000 });
    assert.equal(
      stderr,
      "clusterlock: run this once, as root: apt-get update && apt-get install -y --no-install-recommends g++ python3\n",
    );
    assert.deepEqual([status, stdout], [69, FAILED]);
  });

  it("asks for nothing of the lab's before tests that run in none", () => {
    for (const name of ["make", "g++", "python3", "xz", "apt-get"]) program(name);
    program("npm", "echo npm broke; exit 3");
    const { status, stdout, stderr } = setUp("unit", { uid: 1000 });
    assert.equal(
      stderr,
      "setup: npm ci\nnpm broke\nclusterlock: this failed (ended with 3): npm ci --no-audit --no-fund\n",
    );
    assert.deepEqual([status, stdout], [69, FAILED]);
  });

  it("installs what is missing when it is root", () => {
    for (const name of ["make", "xz"]) program(name);
    program("apt-get", `echo "$@" >> "$CALLS"; [ "$1" = update ] || { echo apt broke >&2; exit 100; }`);
    const { status, stdout, stderr, calls } = setUp("unit", { uid: 0 });
    assert.equal(calls, "update\ninstall -y --no-install-recommends g++ python3\n");
    assert.equal(
      stderr,
      "setup: installing Debian packages: g++ python3\napt broke\n" +
        "clusterlock: this failed (ended with 100): apt-get install -y --no-install-recommends g++ python3\n",
    );
    assert.deepEqual([status, stdout], [69, FAILED]);
  });

  it("says so where there is no apt-get", () => {
    const { status, stderr } = setUp("unit", { uid: 0 });
    assert.equal(
      stderr,
      "clusterlock: what these Debian packages bring is missing, and so is apt-get: g++ make python3 xz-utils\n",
    );
    assert.equal(status, 69);
  });

  it("is told of in the last line of .ci/run, even if npm does not start", () => {
    cpSync(path.join(root, ".ci"), path.join(place, ".ci"), { recursive: true });
    for (const name of ["bash", "dirname", "mktemp", "rm"]) symlinkSync(`/usr/bin/${name}`, path.join(bin, name));
    const run = () =>
      spawnSync("/bin/bash", [path.join(place, ".ci/run")], { encoding: "utf8", env: { PATH: bin, TMPDIR: place } });
    const absent = run();
    assert.deepEqual([absent.status, absent.stdout], [127, "0 passed, 1 failed\n"]);
    program("npm", "exit 5");
    const broken = run();
    assert.deepEqual([broken.status, broken.stdout], [5, "0 passed, 1 failed\n"]);
    program("npm", 'echo "7 passed, 0 failed" | /usr/bin/tee "$CLUSTERLOCK_TEST_TOTAL"');
    const fine = run();
    assert.deepEqual([fine.status, fine.stdout], [0, "7 passed, 0 failed\n"]);
  });

  it("is told of in the last line of an interrupted .ci/run, once all is over", async () => {
    cpSync(path.join(root, ".ci"), path.join(place, ".ci"), { recursive: true });
    for (const name of ["bash", "dirname", "mktemp", "rm", "sleep"])
      symlinkSync(`/usr/bin/${name}`, path.join(bin, name));
    // as npm does: gone before what it started, which cleans up and has the last word
    program("npm", `(sleep 1; echo "1 passed, 1 failed"; echo x > "$CLUSTERLOCK_TEST_TOTAL") & echo up; exec sleep 5`);
    const child = spawn("/bin/bash", [path.join(place, ".ci/run")], {
      env: { PATH: bin, TMPDIR: place },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await once(child.stdout, "data");
    const end = once(child, "close");
    child.kill("SIGTERM");
    assert.deepEqual([await end, output], [[143, null], "up\n1 passed, 1 failed\n"]);
  });
});
