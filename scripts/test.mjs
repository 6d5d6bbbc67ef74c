// npm test: sets up what it needs, then runs everything and ends with "N passed, N failed".
//
//   node scripts/test.mjs [unit|kernel|all]         what needs no kernel; what runs in the lab; both and the checks
//   node scripts/test.mjs long AREA [--kernel V]    the suites of AREA again and again, with printed seeds, on each
//                                                   kernel; AREA: see scripts/runner/plan.mjs; CLUSTERLOCK_ROUNDS
//                                                   (default 5)
//
// CLUSTERLOCK_TEST_KERNEL=DIR boots the kernel that is unpacked in DIR in every lab of a suite. Node's own modules only:
// it starts on a machine on which nothing is installed yet.
import { readdirSync } from "node:fs";
import path from "node:path";

import { runChild } from "./runner/child.mjs";
import { LONG, lanesOf, parsePlan, SUITES, USAGE, UsageError } from "./runner/plan.mjs";
import { runSession } from "./runner/session.mjs";
import { root, setUp } from "./setup.mjs";

const FETCH_LIMIT = 10 * 60_000;
const bin = (name) => path.join(root, "node_modules/.bin", name);

function sources(...dirs) {
  return dirs.flatMap((dir) =>
    readdirSync(path.join(root, dir), { recursive: true })
      .filter((file) => /\.(c|cc|h)$/.test(file))
      .map((file) => path.join(dir, file)),
  );
}

async function checks(session) {
  await session.check("format: TypeScript, JavaScript, Markdown", bin("prettier"), [
    "--check",
    "--log-level=warn",
    ".",
  ]);
  const native = sources("csrc", "test/native", "test/kernel", "bench");
  await session.check("format: C, C++", "clang-format", ["--dry-run", "--Werror", ...native]);
  await session.check("lint: TypeScript, JavaScript", bin("eslint"), ["."]);
  await session.check("lint: C++", process.execPath, ["scripts/clang-tidy.mjs"]);
  await session.check("types", bin("tsc"), ["--noEmit", "-p", "tsconfig.json"]);
  await session.check("the packed tarball", process.execPath, ["scripts/check-pack.mjs"]);
}

async function suites(session, names) {
  for (const name of names) {
    const suite = SUITES[name];
    if (suite.lanes) await session.lanes(name, lanesOf(suite), suite);
    else await session.suite(name, suite.specs, suite);
  }
}

/** The directory of an unpacked kernel, or undefined when there is none to be had. */
async function fetchKernel(session, version) {
  const fetched = await runChild(path.join(root, "scripts/fetch-kernel"), [version], {
    cwd: root,
    collect: "stdout",
    limit: FETCH_LIMIT,
  });
  const directory = fetched.output.trim();
  if (fetched.code === 0 && directory !== "") return directory;
  session.fail(`kernel ${version}`, "scripts/fetch-kernel did not bring it");
  return undefined;
}

async function long(session, { area, kernels, rounds }) {
  const { specs, limit } = LONG[area];
  const places = [];
  for (const kernel of kernels) {
    if (kernel === undefined) places.push({ label: "", env: {} });
    else {
      const directory = await fetchKernel(session, kernel);
      if (directory) places.push({ label: `, kernel ${kernel}`, env: { CLUSTERLOCK_TEST_KERNEL: directory } });
    }
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { label, env } of places) {
      const seed = process.env.CLUSTERLOCK_SEED ?? String(Math.floor(Math.random() * 1_000_000));
      const name = `${area}${label}, round ${round} of ${rounds}, CLUSTERLOCK_SEED=${seed}`;
      await session.suite(name, specs, { limit, env: { ...env, CLUSTERLOCK_SEED: seed, CLUSTERLOCK_LONG: "1" } });
    }
  }
}

function plan() {
  try {
    return parsePlan(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`clusterlock: ${error.message}\n${USAGE}`);
    process.exit(64);
  }
}

const asked = plan();
await runSession(async (session) => {
  switch (asked.what) {
    case "unit":
      await setUp("unit");
      return suites(session, ["unit", "native", "lifecycle"]);
    case "kernel":
      await setUp("lab", "drivers", "interop");
      return suites(session, ["kernel", "bounds"]);
    case "long":
      await setUp(...LONG[asked.area].needs);
      return long(session, asked);
    default:
      await setUp("unit", "lab", "drivers", "interop", "checks");
      await checks(session);
      return suites(session, Object.keys(SUITES));
  }
});
