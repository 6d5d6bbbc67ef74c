// npm run demo: two real cluster nodes hand a lock, its value block and a blocking notice to each other. Sets up what
// it needs, boots the nodes, runs examples/handoff on both, and prints who did what when. Exit status 0: every step
// held.
import { createRequire } from "node:module";
import path from "node:path";
import { Writable } from "node:stream";

import { interruption, watchSignals } from "./runner/interruption.mjs";
import { root, setUp } from "./setup.mjs";

const LAB_FAILED = 125;
const DOWN_LIMIT = 30_000;

// One clock for both nodes: the time at which their lines arrive here.
class Timeline extends Writable {
  #start;
  _write(chunk, _encoding, done) {
    this.#start ??= performance.now();
    for (const line of String(chunk).split("\n").filter(Boolean)) {
      const [, node, text] = /^\[n(\d+)\] (.*)$/.exec(line) ?? [undefined, "?", line];
      const seconds = ((performance.now() - this.#start) / 1000).toFixed(3).padStart(8);
      process.stdout.write(`${seconds} s  ${node === "2" ? "              " : ""}node ${node}  ${text}\n`);
    }
    done();
  }
}

async function demo() {
  await setUp("lab");
  const { up, runOn } = createRequire(import.meta.url)(path.join(root, "dist/lab"));
  const onProgress = (line) => process.stderr.write(`${line}\n`);
  const cluster = await up({ nodes: 2, stack: "dlm", signal: interruption, onProgress });
  try {
    const timeline = new Timeline();
    const command = [process.execPath, path.join(root, "examples/handoff/handoff.mjs")];
    const options = { command, timeout: 180_000, stdout: timeline, stderr: timeline };
    const status = await runOn(cluster, options, { signal: interruption });
    process.stdout.write(status === 0 ? "\nEvery step held.\n" : `\nNot every step held (status ${status}).\n`);
    return status;
  } finally {
    await cluster.down();
  }
}

watchSignals();
// What an interruption ends in time is cleaned up; the rest goes with this process.
interruption.addEventListener("abort", () => {
  setTimeout(() => process.exit(interruption.reason.status), DOWN_LIMIT).unref();
});
try {
  process.exitCode = await demo();
} catch (error) {
  const cause = interruption.aborted ? interruption.reason : error;
  process.stderr.write(`clusterlock: ${cause.message}\n`);
  process.exitCode = cause.status ?? LAB_FAILED;
}
