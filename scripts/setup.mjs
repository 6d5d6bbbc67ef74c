// Sets up what `npm test` and `npm run demo` need, on a machine that has only Node, npm and apt. As root it installs what
// is missing and says so; otherwise it names the one command to run. It never prompts. Node's own modules only: it runs
// before anything is installed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { runChild } from "./runner/child.mjs";
import { isInstalled, missingPackages } from "./runner/packages.mjs";

export const root = path.resolve(import.meta.dirname, "..");

const LIMIT = 15 * 60_000;
// dpkg must not be cut off in the middle of a package
const APT_GRACE = 120_000;

/** Set-up cannot go on; the message is one line that says what to do. */
export class SetUpError extends Error {
  status = 69;
}

export function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

/** Runs a tool quietly; what it said is shown when it fails. */
async function run(program, args, options = {}) {
  const { code, signal, stopped, output } = await runChild(program, args, {
    cwd: root,
    collect: "all",
    limit: LIMIT,
    ...options,
  });
  if (code === 0 && stopped === undefined) return;
  process.stderr.write(output);
  const why = stopped === undefined ? `ended with ${signal ?? code}` : `it ${stopped}`;
  throw new SetUpError(`this failed (${why}): ${[path.basename(program), ...args].join(" ")}`);
}

async function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", args, { env, grace: APT_GRACE });
}

async function installPackages(groups) {
  const missing = missingPackages(groups);
  if (missing.length === 0) return;
  if (!isInstalled("apt-get")) {
    throw new SetUpError(`what these Debian packages bring is missing, and so is apt-get: ${missing.join(" ")}`);
  }
  const install = ["install", "-y", "--no-install-recommends", ...missing];
  if (process.getuid() !== 0) {
    throw new SetUpError(`run this once, as root: apt-get update && apt-get ${install.join(" ")}`);
  }
  say(`installing Debian packages: ${missing.join(" ")}`);
  await apt("update");
  await apt(...install);
}

/** A lab that has all it needs in its cache can do without apt's lists, and says so if it cannot: this may fail. */
async function fetchLists() {
  const lists = "/var/lib/apt/lists";
  const have = existsSync(lists) && readdirSync(lists).some((name) => name.includes("_Packages"));
  if (have || process.getuid() !== 0) return;
  say("fetching apt's package lists");
  await apt("update").catch((error) => {
    if (!(error instanceof SetUpError)) throw error;
    say(error.message);
  });
}

/** Runs `make()` unless it ran before for the same content of `inputs`. */
async function once(name, inputs, outputs, make) {
  const stampDir = path.join(root, "build", "stamps");
  const stamp = path.join(stampDir, name);
  const hash = createHash("sha256");
  for (const file of inputs) {
    const content = readFileSync(path.join(root, file));
    hash.update(file).update("\0").update(content);
  }
  const digest = hash.update(process.version).digest("hex");
  const done = outputs.every((file) => existsSync(path.join(root, file)));
  if (done && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  say(name);
  await make();
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

/** `groups`: of scripts/runner/packages.mjs, besides what every task needs. Rejects with a SetUpError. */
export async function setUp(...groups) {
  await installPackages(["build", ...groups]);
  if (groups.includes("lab")) await fetchLists();
  await once("npm ci", ["package-lock.json"], ["node_modules/.package-lock.json"], () =>
    run("npm", ["ci", "--no-audit", "--no-fund"]),
  );
  // The double is built along even for the demo: one build to keep fresh, and a few seconds once.
  await once(
    "build the addon",
    [...filesUnder("csrc", "test/native/double"), "binding.gyp", "scripts/build-native.mjs"],
    ["build/Release/clusterlock.node", "build/Release/clusterlock_double.node"],
    () => run(process.execPath, ["scripts/build-native.mjs", "--double"]),
  );
  await once(
    "compile lib",
    [...filesUnder("lib"), "package.json", "tsconfig.json", "tsconfig.build.json", "scripts/build-ts.mjs"],
    ["dist/index.js"],
    () => run(process.execPath, ["scripts/build-ts.mjs"]),
  );
}
