// mocha's spec reporter, which also tells scripts/runner its counts, on the descriptor that --reporter-option counts=
// names; and which names, to the reader, what keeps a run alive after its end.
const { writeSync } = require("node:fs");
const Mocha = require("mocha");

module.exports = class extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const { counts, leakLimit } = options.reporterOptions ?? {};
    if (counts === undefined) return;
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures } = this.stats;
      writeSync(Number(counts), `${JSON.stringify({ passes, failures })}\n`);
      setTimeout(nameLeaks, Number(leakLimit) / 2).unref();
    });
  }
};

function nameLeaks() {
  process.stdout.write(`still alive after the last test: ${process.getActiveResourcesInfo().join(", ")}\n`);
}
