// One run of mocha, and the judgement on it: what it counted, and whether it ended as a sound run does.
import { readFileSync } from "node:fs";
import path from "node:path";

import { runChild } from "./child.mjs";

const LEAK_LIMIT = 30_000;

/**
 * @param {{ root: string, env: NodeJS.ProcessEnv, limit: number, grace?: number, leakLimit?: number,
 *   collect?: "all" }} options `collect` returns what it prints instead of showing it
 * @returns {Promise<{ passed: number, failed: number, output: string, problem?: string }>} `problem`: counted in
 * `failed`, and not told by mocha itself
 */
export async function runMocha(specs, { root, env, limit, grace, leakLimit = LEAK_LIMIT, collect }) {
  const config = path.join(root, ".mocharc.json");
  // bin/mocha would start this as a child that outlives it; so Node's own options are ours to pass.
  const nodeOptions = JSON.parse(readFileSync(config, "utf8"))["node-option"].map((option) => `--${option}`);
  const args = [...nodeOptions, path.join(root, "node_modules/mocha/lib/cli/cli.js"), "--config", config];
  args.push("--no-package", "--reporter", path.join(root, "test/reporter.cjs"));
  // The counts come through descriptor 3: a file would be left behind by a run that is killed.
  args.push("--reporter-option", `counts=3,leakLimit=${leakLimit}`, ...specs);

  let counts;
  let timer;
  const report = (text, stop) => {
    if (!text.endsWith("\n")) return;
    counts = JSON.parse(text);
    timer = setTimeout(
      stop,
      leakLimit,
      `reported its end but did not exit within ${leakLimit / 1000} s: it leaked a handle`,
    );
  };
  try {
    const ended = await runChild(process.execPath, args, { cwd: root, env, limit, grace, report, collect });
    return { ...judge(ended, counts), output: ended.output };
  } finally {
    clearTimeout(timer);
  }
}

function judge({ code, signal, stopped, left }, counts) {
  const { passes, failures } = counts ?? { passes: 0, failures: 0 };
  let problem;
  if (left.length > 0) problem = `it left processes behind: ${left.join("; ")}`;
  else if (stopped !== undefined) problem = `it ${stopped}`;
  else if (counts === undefined) problem = `mocha ended with ${signal ?? code} before it had counted`;
  else if (failures === 0 && code !== 0) problem = `mocha ended with ${signal ?? code} though no test failed`;
  else if (failures === 0 && passes === 0) problem = "no test ran";
  return { passed: passes, failed: failures + (problem === undefined ? 0 : 1), problem };
}
