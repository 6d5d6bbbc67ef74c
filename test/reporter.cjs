// mocha's spec reporter, which also leaves its counts in $CLUSTERLOCK_TEST_COUNTS for scripts/test.mjs to add up.
const { writeFileSync } = require("node:fs");
const Mocha = require("mocha");

module.exports = class extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      const file = process.env.CLUSTERLOCK_TEST_COUNTS;
      if (file) writeFileSync(file, JSON.stringify({ passes, failures, pending }));
    });
  }
};
