// Sets up what `npm test` and `npm run demo` need, on a machine that has only Node, npm, gcc, make, python3 and apt.
// As root it installs what is missing and says so; otherwise it prints the one command to run and exits 69. It never
// prompts. Node's own modules only: it runs before anything is installed.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

export const root = path.resolve(import.meta.dirname, "..");

const LAB_PACKAGES = { "qemu-system-x86_64": "qemu-system-x86" };
const TEST_PACKAGES = { "clang-format": "clang-format", "clang-tidy": "clang-tidy", "g++": "g++", make: "make" };

export function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function onPath(program) {
  return (process.env.PATH ?? "").split(":").some((dir) => existsSync(path.join(dir, program)));
}

function installPackages(wanted) {
  const missing = [...new Set(Object.entries(wanted).flatMap(([program, pkg]) => (onPath(program) ? [] : [pkg])))];
  const noLists =
    !existsSync("/var/lib/apt/lists") ||
    !readdirSync("/var/lib/apt/lists").some((f) => f.endsWith("Packages") || f.includes("Packages."));
  if (missing.length === 0 && !noLists) return;
  const install = missing.length > 0 ? `apt-get install -y --no-install-recommends ${missing.join(" ")}` : "";
  const command = ["apt-get update", install].filter(Boolean).join(" && ");
  if (process.getuid() !== 0) {
    process.stderr.write(`clusterlock: run this once, as root: ${command}\n`);
    process.exit(69);
  }
  say(missing.length > 0 ? `installing Debian packages: ${missing.join(" ")}` : "fetching apt's package lists");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stderr } = spawnSync("sh", ["-c", command], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
  });
  if (status !== 0) {
    process.stderr.write(`${stderr}clusterlock: this failed: ${command}\n`);
    process.exit(69);
  }
}

/** Runs `make()` unless it ran before for the same content of `inputs`. */
function once(name, inputs, outputs, make) {
  const stampDir = path.join(root, "build", "stamps");
  const stamp = path.join(stampDir, name);
  const hash = createHash("sha256");
  for (const file of inputs)
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(path.join(root, file)));
  const digest = hash.update(process.version).digest("hex");
  const done = outputs.every((file) => existsSync(path.join(root, file)));
  if (done && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  say(name);
  make();
  mkdirSync(stampDir, { recursive: true });
  writeFileSync(stamp, digest);
}

function filesUnder(...dirs) {
  return dirs.flatMap((dir) =>
    readdirSync(path.join(root, dir), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)))
      .sort(),
  );
}

function run(program, ...args) {
  execFileSync(program, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}

/** @param {{ lab: boolean, tests: boolean }} needs */
export function setUp({ lab, tests }) {
  installPackages({ ...(lab ? LAB_PACKAGES : {}), ...(tests ? TEST_PACKAGES : {}) });
  once("npm ci", ["package-lock.json"], ["node_modules/.package-lock.json"], () =>
    run("npm", "ci", "--no-audit", "--no-fund"),
  );
  // The double is built along even for the demo: one build to keep fresh, and a few seconds once.
  once(
    "build the addon",
    [...filesUnder("csrc", "test/native/double"), "binding.gyp", "scripts/build-native.mjs"],
    ["build/Release/clusterlock.node", "build/Release/clusterlock_double.node"],
    () => run(process.execPath, "scripts/build-native.mjs", "--double"),
  );
  once(
    "compile lib",
    [...filesUnder("lib"), "package.json", "tsconfig.json", "tsconfig.build.json", "scripts/build-ts.mjs"],
    ["dist/index.js"],
    () => run(process.execPath, "scripts/build-ts.mjs"),
  );
}
