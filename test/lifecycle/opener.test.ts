import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";

import { DOUBLE_PATH, until } from "../native/double";
import { Bench, grant, isThere } from "../native/opener-client";

const { O_RDONLY, O_NONBLOCK } = fs.constants;
const PROGRAM = path.join(__dirname, "programs/opener-ends.cjs");

// What a program holds is the writing end of a FIFO; what it waits for is that somebody writes to another. The kernel
// lets such a wait go when it is killed, as it does not with a lock file: test/kernel/dlmfs-opener.test.ts.
describe("the end of a program with an opener", function () {
  this.timeout(30_000);
  const bench = Bench.on();
  let reader: number;

  beforeEach(() => {
    bench.fifo("pending");
    reader = fs.openSync(bench.fifo("held"), O_RDONLY | O_NONBLOCK);
  });
  afterEach(() => {
    fs.closeSync(reader);
  });

  const argv = (isolation: string, ending: string): string[] => [
    ...[PROGRAM, DOUBLE_PATH, bench.executable, bench.place],
    ...["S", isolation, ending],
  ];
  const nobodyHolds = (): boolean => {
    try {
      return fs.readSync(reader, Buffer.alloc(1)) === 0;
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
      return false;
    }
  };
  const nothingIsLeft = async (opener: number): Promise<void> => {
    await until("what was held is closed", nobodyHolds);
    await until("the opener has ended", () => !isThere(opener));
    await until("nobody waits any more", () => {
      try {
        grant(bench.at("pending"));
        return false;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === "ENXIO";
      }
    });
  };

  for (const isolation of ["process", "thread"] as const) {
    for (const [ending, code, signal] of [
      ["exit", 3, null],
      ["natural", 0, null],
      ["throw", 1, null],
      ["SIGKILL", null, "SIGKILL"],
      ["SIGTERM", null, "SIGTERM"],
      ["terminate", 0, null],
    ] as const) {
      // the thread of the one that was terminated would stay, as the isolation says
      if (isolation === "thread" && ending === "terminate") continue;
      it(`${ending} with an open under way comes at once and leaves nothing, isolation ${isolation}`, async () => {
        const run = spawnSync(process.execPath, argv(isolation, ending), { encoding: "utf8", timeout: 10_000 });
        assert.deepEqual([run.status, run.signal], [code, signal], run.stderr);
        await nothingIsLeft(Number(run.stdout));
      });
    }
  }

  it("a worker of isolation thread ends at once, though its thread waits on", () => {
    // and the process with it, where the kernel lets go of threads that are killed
    const run = spawnSync(process.execPath, argv("thread", "terminate"), { encoding: "utf8", timeout: 10_000 });
    assert.deepEqual([run.status, run.signal, run.stderr], [0, null, ""]);
    assert.ok(nobodyHolds());
  });

  it("an opener that is stopped holds up neither its owner nor what that holds", async () => {
    const child = spawn(process.execPath, argv("process", "stay"), { stdio: ["ignore", "pipe", "inherit"] });
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    const opener = Number(said.toString());
    process.kill(opener, "SIGSTOP");
    child.kill("SIGTERM");
    await once(child, "close");
    await until("what was held is closed", nobodyHolds);
    process.kill(opener, "SIGCONT");
    await nothingIsLeft(opener);
  });

  it("says ENOENT when somebody has taken the program away", () => {
    const run = spawnSync(
      process.execPath,
      [PROGRAM, DOUBLE_PATH, bench.at("absent"), bench.place, "S", "process", "exit"],
      {
        encoding: "utf8",
      },
    );
    assert.match(run.stderr, /posix_spawn/);
  });
});
