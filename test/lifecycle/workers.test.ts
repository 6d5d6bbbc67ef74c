import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import path from "node:path";

import { DOUBLE_PATH } from "../native/double";
import { rounds } from "../rounds";

const root = path.resolve(__dirname, "../..");
const program = path.join(__dirname, "programs/workers.cjs");
const sanitized = path.join(root, "build-sanitized/build/Release/clusterlock_double.node");
const CYCLES = rounds(200, 60);

describe("worker threads", function () {
  this.timeout(300_000);

  it(`start and end ${CYCLES} times, in every state and every way`, () => {
    const run = spawnSync(process.execPath, [program, DOUBLE_PATH, String(CYCLES)], {
      encoding: "utf8",
      timeout: 250_000,
    });
    assert.deepEqual([run.status, run.signal, run.stderr, run.stdout], [0, null, "", `${CYCLES} cycles\n`]);
  });

  it(`the same under AddressSanitizer and UBSan`, () => {
    execFileSync(process.execPath, ["scripts/build-native.mjs", "--double", "--sanitize=address,undefined"], {
      cwd: root,
    });
    const library = (name: string): string =>
      execFileSync("gcc", [`-print-file-name=${name}`], { encoding: "utf8" }).trim();
    const env = {
      ...process.env,
      LD_PRELOAD: `${library("libasan.so")} ${library("libubsan.so")}`,
      // leaks of Node's own make LeakSanitizer useless here
      ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0:exitcode=99",
      UBSAN_OPTIONS: "halt_on_error=1:exitcode=99",
    };
    const run = spawnSync(process.execPath, [program, sanitized, String(CYCLES)], {
      encoding: "utf8",
      timeout: 280_000,
      env,
    });
    assert.deepEqual([run.status, run.signal, run.stderr, run.stdout], [0, null, "", `${CYCLES} cycles\n`]);
  });
});
