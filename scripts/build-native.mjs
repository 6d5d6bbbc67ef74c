#!/usr/bin/env node
// Builds the addon from source into build/Release. Headers come from beside the running Node; nothing is fetched.
//
//   node scripts/build-native.mjs [--double] [--sanitize=address,undefined]
//
// --double also builds the test double of the DLM devices; --sanitize builds into build-sanitized/ instead.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const require = createRequire(import.meta.url);
const args = process.argv.slice(2);
const sanitize = args.find((arg) => arg.startsWith("--sanitize="))?.slice("--sanitize=".length) ?? "";

function fail(message) {
  process.stderr.write(`clusterlock: ${message}\n`);
  process.exit(69);
}

// The prefix that has include/node/node_api.h: where a tarball, a distribution or nvm puts it.
const nodedir = path.resolve(path.dirname(process.execPath), "..");
if (!existsSync(path.join(nodedir, "include/node/node_api.h"))) {
  fail(`Node's headers are missing: expected ${nodedir}/include/node. Install the package of your Node that has them.`);
}
let nodeGyp;
try {
  nodeGyp = require.resolve("node-gyp/bin/node-gyp.js");
  require.resolve("node-addon-api");
} catch {
  fail("a source build needs node-gyp and node-addon-api: npm install --no-save node-gyp@12 node-addon-api@8");
}

let running;
let interrupted;
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    interrupted ??= signal;
    running?.kill(signal);
  });
}

/** Runs a tool, and shows what it prints on its standard output only when it fails; rejects with one line. */
function tool(program, argv, stderr) {
  return new Promise((resolve, reject) => {
    if (interrupted) return reject(new Error(interrupted));
    const name = program === process.execPath ? "node-gyp" : program;
    let said = "";
    const collect = (chunk) => (said += chunk);
    running = spawn(program, argv, { stdio: ["ignore", "pipe", stderr] });
    running.stdout.on("data", collect);
    running.stderr?.on("data", collect);
    running.once("error", (error) => reject(new Error(`cannot run ${name}: ${error.message}`)));
    running.once("close", (code, signal) => {
      if (code === 0) return resolve();
      process.stderr.write(said);
      reject(new Error(`${name} ended with ${signal ?? code}`));
    });
  });
}

// The tarball carries no root binding.gyp (npm would list it as an install script): one stands in while we build.
const gyp = path.join(root, "binding.gyp");
const standIn = !existsSync(gyp);
if (standIn) writeFileSync(gyp, "{ 'includes': ['csrc/sources.gypi'] }\n");
let problem;
try {
  // node-gyp builds beside its binding.gyp only: a sanitized build gets a directory of links to build in.
  let place = root;
  if (sanitize) {
    place = path.join(root, "build-sanitized");
    mkdirSync(place, { recursive: true });
    for (const name of ["binding.gyp", "csrc", "test", "node_modules"]) {
      const link = path.join(place, name);
      if (!existsSync(link)) symlinkSync(path.join("..", name), link);
    }
  }
  const variables = [];
  if (args.includes("--double")) variables.push("-Dtest_double=1");
  if (sanitize) variables.push(`-Dsanitize=${sanitize}`);
  const configure = [nodeGyp, `--nodedir=${nodedir}`, "-C", place, "configure", "--", ...variables];
  // node-gyp tells its whole story on standard error, warnings of the compiler are for every reader
  await tool(process.execPath, configure, "pipe");
  const make = ["-s", "-C", path.join(place, "build"), "BUILDTYPE=Release", `-j${process.env.JOBS ?? 2}`];
  await tool("make", make, "inherit");
} catch (error) {
  problem = error;
}
if (standIn) rmSync(gyp);
if (interrupted) process.exit(128 + os.constants.signals[interrupted]);
if (problem) fail(`the build failed: ${problem.message}`);
