import assert from "node:assert/strict";
import path from "node:path";

import type { Plan, Report } from "../model/main";

import { compileDirectory } from "./support/compile";
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
  // before the cluster boots, which then has the files
  let model = "";
  before(() => {
    model = compileDirectory(path.resolve(__dirname, "../model"));
  });
  const suite = Suite.on(1, "dlm", (on) => on.shell(1).call((node, name) => node.Lockspace.remove(name), LS));

  function check(plan: Plan, report: Report): void {
    if (report.failure !== undefined) assert.fail(report.failure);
    const { steps, ms, seen } = report;
    console.log(`        ${plan.way}, seed ${plan.seed}: ${steps} steps in ${ms} ms: ${JSON.stringify(seen)}`);
    if (plan.path === undefined) assert.ok(steps >= plan.steps, `only ${steps} steps were taken`);
  }

  // One process for both, since it starts as slowly as it takes a thousand steps.
  it("agree after each of 5,000 commands, and after bursts on what holds in any order", async () => {
    const { CLUSTERLOCK_PATH: from } = process.env;
    const [way, path] = from?.split("@") ?? [];
    const plans: Plan[] = [
      { way: "strict" as const, steps: 5000, seed: seed() },
      { way: "burst" as const, steps: 2000, seed: seed() },
    ]
      .filter((plan) => way === undefined || plan.way === way)
      .map((plan) => ({ ...plan, path }));
    const argv = [process.execPath, PROGRAM, LS, model, ...plans.map((plan) => JSON.stringify(plan))];
    const { code, stdout, stderr } = await suite.run(1, ...argv);
    assert.equal(code, 0, `seed ${plans[0]?.seed ?? 0}: ${stderr}`);
    const reports = stdout.trim().split("\n");
    plans.forEach((plan, index) => {
      check(plan, JSON.parse(reports[index] ?? "") as Report);
    });
  });
});
