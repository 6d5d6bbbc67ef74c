/* global it */
it("passes", () => {
  const steering = ["MOCHA_OPTIONS", "NODE_OPTIONS", "NODE_PATH"].filter((name) => name in process.env);
  console.log(`steered by ${steering.join(" ")}`);
});
it("passes too", () => undefined);
