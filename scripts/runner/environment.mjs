// The environment tests run in: what the caller's shell holds for Node and mocha must not change what is tested.

const STEERING = /^(MOCHA|NODE|TSX)_/;
// Where a network needs it, npm does not work without.
const HARMLESS = new Set(["NODE_EXTRA_CA_CERTS"]);

export function testEnvironment(env = process.env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !STEERING.test(name) || HARMLESS.has(name)));
}
