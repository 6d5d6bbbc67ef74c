// npm run demo: two real cluster nodes hand a lock, its value block and a blocking notice to each other. Sets up what
// it needs, boots the nodes, runs examples/handoff on both, and prints who did what when. Exit status 0: every step
// held.
import { createRequire } from "node:module";
import path from "node:path";
import { Writable } from "node:stream";

import { root, setUp } from "./setup.mjs";

setUp({ lab: true, tests: false });
const { up, runOn } = createRequire(import.meta.url)(path.join(root, "dist/lab"));

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interrupted.abort(new Error(signal)));

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

let status = 125;
try {
  const onProgress = (line) => process.stderr.write(`${line}\n`);
  const cluster = await up({ nodes: 2, stack: "dlm", signal: interrupted.signal, onProgress });
  try {
    const timeline = new Timeline();
    const command = [process.execPath, path.join(root, "examples/handoff/handoff.mjs")];
    const { signal } = interrupted;
    status = await runOn(cluster, { command, timeout: 180_000, stdout: timeline, stderr: timeline }, { signal });
    process.stdout.write(status === 0 ? "\nEvery step held.\n" : `\nNot every step held (status ${status}).\n`);
  } finally {
    await cluster.down();
  }
} catch (error) {
  process.stderr.write(`clusterlock: ${error.message}\n`);
}
process.exitCode = status;
