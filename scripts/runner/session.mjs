// A session of checks and suites: it counts, and whatever happens its last line is "N passed, N failed".
import { writeFileSync } from "node:fs";
import path from "node:path";

import { runChild } from "./child.mjs";
import { testEnvironment } from "./environment.mjs";
import { watchSignals } from "./interruption.mjs";
import { runMocha } from "./mocha.mjs";

const root = path.resolve(import.meta.dirname, "../..");
const MINUTE = 60_000;
const CHECK_LIMIT = 10 * MINUTE;

export class Session {
  #passed = 0;
  #failed = 0;
  // what has failed, a line each
  #told = [];

  heading(text) {
    process.stdout.write(`\n== ${text}\n`);
  }

  /** One check that holds or does not. */
  async check(name, program, args, { limit = CHECK_LIMIT } = {}) {
    this.heading(name);
    const { code, signal, stopped } = await runChild(program, args, { cwd: root, env: testEnvironment(), limit });
    if (code === 0 && stopped === undefined) this.#passed++;
    else this.fail(name, stopped === undefined ? `ended with ${signal ?? code}` : `it ${stopped}`);
  }

  /** One run of mocha; `limit` in milliseconds. */
  async suite(name, specs, { env = {}, limit, grace, leakLimit }) {
    this.heading(name);
    const options = { root, env: { ...testEnvironment(), ...env }, limit, grace, leakLimit };
    this.#count(name, await runMocha(specs, options));
  }

  /** Runs of mocha side by side. */
  async lanes(name, lanes, { limit, grace, leakLimit }) {
    const options = { root, env: testEnvironment(), limit, grace, leakLimit };
    const names = lanes.map((lane) => lane.name).join(" and ");
    this.heading(lanes.length > 1 ? `${name}: ${names}, side by side` : names);
    const runs = lanes.map(({ specs }) => runMocha(specs, { ...options, brief: lanes.length > 1 }));
    // all are waited for, also when one is interrupted: nothing of them is to outlive the session
    const ends = await Promise.allSettled(runs);
    for (const [index, { status, value, reason }] of ends.entries()) {
      if (status === "rejected") throw reason;
      this.#count(`${name}: ${lanes[index].name}`, value);
    }
  }

  #count(name, { passed, failed, failures, problem }) {
    this.#passed += passed;
    this.#failed += failed;
    this.#told.push(...failures.map((failure) => `FAILED: ${name}: ${failure}\n`));
    if (problem !== undefined) this.#tell(`FAILED: ${name}: ${problem}\n`);
  }

  fail(name, why) {
    this.#failed++;
    this.#tell(`FAILED: ${name}: ${why}\n`);
  }

  #tell(line) {
    process.stdout.write(line);
    this.#told.push(line);
  }

  /** What was still to come counts as one failure. */
  cutShort() {
    this.#failed++;
  }

  /** Prints all failures once more, where a reader looks first, and the last line. */
  end() {
    const line = `${this.#passed} passed, ${this.#failed} failed\n`;
    process.stdout.write(`\n${this.#told.join("")}${line}`);
    // for .ci/run, which has to know whether the line was printed
    const copy = process.env.CLUSTERLOCK_TEST_TOTAL;
    if (copy) writeFileSync(copy, line);
    return this.#failed === 0 && this.#passed > 0 ? 0 : 1;
  }
}

/** Runs `body(session)` and ends this process with its result. An error with a `status` is one that we understand. */
export async function runSession(body) {
  watchSignals();
  const session = new Session();
  let status = 0;
  try {
    await body(session);
  } catch (error) {
    status = error.status ?? 1;
    process.stderr.write(`clusterlock: ${error.status === undefined ? error.stack : error.message}\n`);
    session.cutShort();
  }
  const verdict = session.end();
  process.exit(status || verdict);
}
