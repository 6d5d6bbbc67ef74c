// How scripts/runner's runs of mocha are told: to a terminal as mocha's spec reporter does, to a file a line for each
// group of tests. A failure is told at once and whole, for a run that is killed reports none at its end. The runner gets
// the failures and the counts on the descriptor that --reporter-option counts= names, a line of JSON each.
const { writeSync } = require("node:fs");
const path = require("node:path");
const Mocha = require("mocha");

const { Base, Spec } = Mocha.reporters;
const { EVENT_RUN_END, EVENT_SUITE_BEGIN, EVENT_SUITE_END, EVENT_TEST_FAIL, EVENT_TEST_PASS } = Mocha.Runner.constants;

module.exports = class extends Base {
  constructor(runner, options) {
    super(runner, options);
    const { counts, leakLimit, brief } = options.reporterOptions ?? {};
    if (brief || !process.stdout.isTTY) tellBriefly(runner);
    else new Spec(runner, options);
    if (counts === undefined) return;
    const report = (what) => writeSync(Number(counts), `${JSON.stringify(what)}\n`);
    runner.on(EVENT_TEST_FAIL, (test, error) => {
      report({ failure: `${test.fullTitle()}: ${firstLine(error?.message ?? error)}` });
    });
    runner.once(EVENT_RUN_END, () => {
      const { passes, failures } = this.stats;
      report({ passes, failures });
      setTimeout(nameLeaks, Number(leakLimit) / 2).unref();
    });
  }
};

function tellBriefly(runner) {
  let passes = 0;
  let failures = 0;
  let begun = 0;
  const top = (suite) => suite.parent?.root;
  runner.on(EVENT_SUITE_BEGIN, (suite) => {
    if (!top(suite)) return;
    [passes, failures, begun] = [0, 0, Date.now()];
  });
  runner.on(EVENT_TEST_PASS, () => passes++);
  runner.on(EVENT_TEST_FAIL, (test) => {
    failures++;
    process.stdout.write(`FAILED: ${path.relative(process.cwd(), test.file ?? "")}\n`);
    Base.list([test]);
  });
  runner.on(EVENT_SUITE_END, (suite) => {
    if (!top(suite) || passes + failures === 0) return;
    const seconds = ((Date.now() - begun) / 1000).toFixed(1);
    const told = failures > 0 ? `${passes} passed, ${failures} FAILED` : `${passes} passed`;
    process.stdout.write(`  ${suite.title}: ${told} (${seconds} s)\n`);
  });
}

// short, so that a line is written at once or, by a run that is killed, not at all (PIPE_BUF)
const firstLine = (text) => String(text).trim().split("\n")[0].slice(0, 500);

function nameLeaks() {
  process.stdout.write(`still alive after the last test: ${process.getActiveResourcesInfo().join(", ")}\n`);
}
