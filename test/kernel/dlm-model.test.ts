import assert from "node:assert/strict";
import path from "node:path";

import type { Plan, Report } from "../model/main";

import { seed } from "./support/seed";
import { Suite } from "./support/suite";

const LS = "model";
const PROGRAM = path.join(__dirname, "programs/dlm-model.cjs");

// Random sequences of everything that the API can do, on the real kernel and on a model of it (test/model), which have to
// agree after every step. A failure prints the shortest sequence that was found.
//
//   CLUSTERLOCK_SEED=N    draws the sequences of that run again
//   CLUSTERLOCK_PATH=P    and of them only the failed one, as it was printed
describe("fs/dlm and the model", function () {
  this.timeout(300_000);
  const suite = Suite.on(1, "dlm", (on) => on.shell(1).call((node, name) => node.Lockspace.remove(name), LS));

  async function agree(way: Plan["way"], steps: number): Promise<void> {
    const plan: Plan = { way, steps, seed: seed(), path: process.env["CLUSTERLOCK_PATH"] };
    const argv = [process.execPath, "--import", "tsx", PROGRAM, LS, JSON.stringify(plan)];
    const { code, stdout, stderr } = await suite.run(1, ...argv);
    assert.equal(code, 0, `${way}, seed ${plan.seed}: ${stderr}`);
    const report = JSON.parse(stdout) as Report;
    if (report.failure !== undefined) assert.fail(report.failure);
    const { seen, ms } = report;
    console.log(`        ${way}, seed ${plan.seed}: ${report.steps} steps in ${ms} ms: ${JSON.stringify(seen)}`);
    if (plan.path === undefined) assert.ok(report.steps >= steps, `only ${report.steps} steps were taken`);
  }

  it("agree after each of 5,000 commands", () => agree("strict", 5000));

  it("agree on what holds in any order, after bursts of commands that meet each other", () => agree("burst", 3000));
});
