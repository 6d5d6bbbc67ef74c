// Loaded before the tests. mocha only listens to an unhandled rejection and lets the run pass: thrown, it fails it.
process.on("unhandledRejection", (reason) => {
  if (reason instanceof Error) throw reason;
  throw new Error(`unhandled rejection: ${String(reason)}`);
});
