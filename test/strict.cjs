// Loaded before the tests.
const { whenOrphaned } = require("../scripts/runner/ancestry.cjs");

// Labs go with us; bin/mocha, which started us, may have been ended without a word.
whenOrphaned(() => process.exit(129));

// mocha only listens to an unhandled rejection and lets the run pass: thrown, it fails it.
process.on("unhandledRejection", (reason) => {
  if (reason instanceof Error) throw reason;
  throw new Error(`unhandled rejection: ${String(reason)}`);
});
