// npm test: sets up what it needs, then runs everything and ends with "N passed, N failed".
//
//   node scripts/test.mjs [unit|kernel|all]      what needs no kernel; what runs in the lab; both and the checks
//   node scripts/test.mjs long AREA              the suites of AREA again and again, with printed seeds
//                                                AREA: dlm, lifecycle, lab; CLUSTERLOCK_ROUNDS (default 5)
//
// Node's own modules only: it starts on a machine on which nothing is installed yet.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { root, setUp } from "./setup.mjs";

const SUITES = {
  unit: ["test/unit/**/*.test.ts"],
  native: ["test/native/*.test.ts"],
  lifecycle: ["test/lifecycle/*.test.ts"],
  kernel: ["test/kernel/*.test.ts"],
};
const LONG = {
  dlm: ["test/kernel/one-node.test.ts", "test/kernel/two-nodes.test.ts"],
  lifecycle: ["test/native/*.test.ts", "test/lifecycle/*.test.ts"],
  lab: ["test/kernel/lab.test.ts"],
};

let passed = 0;
let failed = 0;
const bin = (name) => path.join(root, "node_modules/.bin", name);

function heading(text) {
  process.stdout.write(`\n== ${text}\n`);
}

function run(program, args, env = {}) {
  const { status } = spawnSync(program, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  return status === 0;
}

/** One check that holds or does not. */
function check(name, program, args) {
  heading(name);
  if (run(program, args)) passed++;
  else {
    failed++;
    process.stdout.write(`FAILED: ${name}\n`);
  }
}

function suite(name, specs, env) {
  heading(name);
  const place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-counts-"));
  const counts = path.join(place, "counts.json");
  const fine = run(bin("mocha"), ["--reporter", "test/reporter.cjs", ...specs], {
    ...env,
    CLUSTERLOCK_TEST_COUNTS: counts,
  });
  // A run that ended without a count crashed.
  const { passes, failures } = existsSync(counts)
    ? JSON.parse(readFileSync(counts, "utf8"))
    : { passes: 0, failures: 1 };
  rmSync(place, { recursive: true });
  passed += passes;
  failed += failures > 0 || fine ? failures : 1;
}

function sources(...dirs) {
  return dirs.flatMap((dir) =>
    readdirSync(path.join(root, dir), { recursive: true })
      .filter((file) => /\.(cc|h)$/.test(file))
      .map((file) => path.join(dir, file)),
  );
}

function checks() {
  check("format: TypeScript, JavaScript, Markdown", bin("prettier"), ["--check", "--log-level=warn", "."]);
  check("format: C++", "clang-format", ["--dry-run", "--Werror", ...sources("csrc", "test/native")]);
  check("lint: TypeScript, JavaScript", bin("eslint"), ["."]);
  check("lint: C++", process.execPath, ["scripts/clang-tidy.mjs"]);
  check("types", bin("tsc"), ["--noEmit", "-p", "tsconfig.json"]);
  check("the packed tarball", process.execPath, ["scripts/check-pack.mjs"]);
}

const [what = "all", area] = process.argv.slice(2);
if (!["all", "unit", "kernel", "long"].includes(what) || (what === "long" && !(area in LONG))) {
  process.stderr.write(
    `usage: npm test, npm run test:unit, npm run test:kernel, npm run test:long -- ${Object.keys(LONG).join("|")}\n`,
  );
  process.exit(64);
}
setUp({ lab: what !== "unit", tests: true });
if (what === "all") checks();
if (what !== "kernel" && what !== "long") for (const name of ["unit", "native", "lifecycle"]) suite(name, SUITES[name]);
if (what === "all" || what === "kernel") suite("kernel", SUITES.kernel);
if (what === "long") {
  const rounds = Number(process.env.CLUSTERLOCK_ROUNDS ?? 5);
  for (let round = 1; round <= rounds; round++) {
    const seed = String(Math.floor(Math.random() * 1_000_000));
    suite(`${area}, round ${round} of ${rounds}, CLUSTERLOCK_SEED=${seed}`, LONG[area], { CLUSTERLOCK_SEED: seed });
  }
}
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
