// One run of mocha, and the judgement on it: what it counted, and whether it ended as a sound run does.
import { readFileSync } from "node:fs";
import path from "node:path";

import { runChild } from "./child.mjs";

const LEAK_LIMIT = 30_000;

/**
 * @param {{ root: string, env: NodeJS.ProcessEnv, limit: number, grace?: number, leakLimit?: number,
 *   brief?: boolean }} options `brief`: a line for each group of tests, and failures whole
 * @returns {Promise<{ passed: number, failed: number, failures: string[], problem?: string }>} `failures`: a line for
 * each that mocha told; `problem`: counted in `failed`, and not told by mocha itself
 */
export async function runMocha(specs, { root, env, limit, grace, leakLimit = LEAK_LIMIT, brief }) {
  const config = path.join(root, ".mocharc.json");
  // bin/mocha would start this as a child that outlives it; so Node's own options are ours to pass.
  const nodeOptions = JSON.parse(readFileSync(config, "utf8"))["node-option"].map((option) => `--${option}`);
  const args = [...nodeOptions, path.join(root, "node_modules/mocha/lib/cli/cli.js"), "--config", config];
  args.push("--no-package", "--reporter", path.join(root, "test/reporter.cjs"));
  // The counts come through descriptor 3: a file would be left behind by a run that is killed.
  args.push("--reporter-option", `counts=3,leakLimit=${leakLimit}${brief ? ",brief=1" : ""}`, ...specs);

  const failures = [];
  let counts;
  let timer;
  const report = (line, stop) => {
    const said = JSON.parse(line);
    if (said.failure !== undefined) return void failures.push(said.failure);
    counts = said;
    timer = setTimeout(
      stop,
      leakLimit,
      `reported its end but did not exit within ${leakLimit / 1000} s: it leaked a handle`,
    );
  };
  try {
    const ended = await runChild(process.execPath, args, { cwd: root, env, limit, grace, report });
    return { ...judge(ended, counts, failures), failures };
  } finally {
    clearTimeout(timer);
  }
}

function judge({ code, signal, stopped, left }, counts, told) {
  const { passes, failures } = counts ?? { passes: 0, failures: told.length };
  let problem;
  if (left.length > 0) problem = `it left processes behind: ${left.join("; ")}`;
  else if (stopped !== undefined) problem = `it ${stopped}`;
  else if (counts === undefined) problem = `mocha ended with ${signal ?? code} before it had counted`;
  else if (failures === 0 && code !== 0) problem = `mocha ended with ${signal ?? code} though no test failed`;
  else if (failures === 0 && passes === 0) problem = "no test ran";
  return { passed: passes, failed: failures + (problem === undefined ? 0 : 1), problem };
}
