import assert from "node:assert/strict";

import { parseLabRun, UsageError } from "../../../lib/cli/lab-args";
import { LabError, LabOptionError } from "../../../lib/lab/errors";
import { nodeEnv } from "../../../lib/lab/node-env";
import { resolveOn, resolveOptions } from "../../../lib/lab/options";
import { kernelCommandLine, macAddress, qemuArgs } from "../../../lib/lab/qemu/args";
import { cacheRoot } from "../../../lib/lab/paths";

describe("lab: arguments of lab run", () => {
  it("are read, and the command's own options are left alone", () => {
    const line = "--nodes 3 --stack=none --on 1,3 --fencing off --cpus 2 --memory 512 --timeout 1.5 --log d -- sh -c x";
    assert.deepEqual(parseLabRun(line.split(" ")), {
      command: ["sh", "-c", "x"],
      nodes: 3,
      stack: "none",
      on: [1, 3],
      fencing: "off",
      cpus: 2,
      memory: 512,
      timeout: 1500,
      log: "d",
    });
  });

  it("end at the first word that is not an option", () => {
    assert.deepEqual(parseLabRun(["--nodes", "1", "ls", "--nodes", "9"]), {
      command: ["ls", "--nodes", "9"],
      nodes: 1,
    });
    assert.deepEqual(parseLabRun(["ls", "--", "-l"]), { command: ["ls", "--", "-l"] });
    assert.deepEqual(parseLabRun(["--", "--nodes"]), { command: ["--nodes"] });
  });

  it("ask for help", () => {
    assert.equal(parseLabRun(["--help"]), undefined);
    assert.equal(parseLabRun(["--nodes", "3", "-h"]), undefined);
  });

  const wrong = [
    "",
    "--",
    "--nodes 2",
    "--nodes 0 -- x",
    "--nodes 9 -- x",
    "--nodes two -- x",
    "--nodes 1.5 -- x",
    "--nodes= -- x",
    "--stack o2cb -- x",
    "--fencing on -- x",
    "--fencing maybe -- x",
    "--on 3 -- x",
    "--on 0 -- x",
    "--on 1,, -- x",
    "--on some -- x",
    "--timeout 0 -- x",
    "--timeout -1 -- x",
    "--timeout 1e9 -- x",
    "--timeout 99999999 -- x",
    "--cpus 0 -- x",
    "--memory lots -- x",
    "--kernel /k -- x",
    "-x -- x",
    "--nodes",
  ];
  for (const line of wrong) {
    it(`are refused: "${line}"`, () => {
      assert.throws(
        () => parseLabRun(line.split(" ").filter((word) => word !== "")),
        (error) =>
          (error instanceof UsageError || error instanceof LabOptionError) &&
          error.message !== "" &&
          !error.message.includes("\n"),
      );
    });
  }
});

describe("lab: options", () => {
  it("have defaults", () => {
    const { nodes, stack, fencing, cpus } = resolveOptions({});
    assert.deepEqual({ nodes, stack, fencing, cpus }, { nodes: 2, stack: "dlm", fencing: "off", cpus: 1 });
  });

  it("have limits", () => {
    for (const options of [{ nodes: 9 }, { nodes: NaN }, { cpus: 0 }, { memory: 64 }, { memory: 512.5 }]) {
      assert.throws(() => resolveOptions(options), LabOptionError, JSON.stringify(options));
    }
  });

  it("name nodes once and in order", () => {
    assert.deepEqual(resolveOn("all", 3), [1, 2, 3]);
    assert.deepEqual(resolveOn([3, 1, 3], 3), [1, 3]);
    assert.throws(() => resolveOn([], 3), LabOptionError);
    assert.throws(() => resolveOn([4], 3), LabOptionError);
  });
});

describe("lab: a node's environment", () => {
  const facts = { node: 2, nodes: 3, stack: "dlm", out: "/o" };

  it("tells a program where it is", () => {
    const env = nodeEnv(facts, { CLUSTERLOCK_NODE: "77", CLUSTERLOCK_OUT: "/wrong" });
    assert.equal(env.CLUSTERLOCK_NODE, "2");
    assert.equal(env.CLUSTERLOCK_NODES, "3");
    assert.equal(env.CLUSTERLOCK_STACK, "dlm");
    assert.equal(env.CLUSTERLOCK_OUT, "/o");
    assert.equal(env.HOME, "/root");
  });

  it("has of the caller's what is harmless", () => {
    const caller = { NODE_OPTIONS: "-r x", SECRET: "s", LD_PRELOAD: "p", LANG: "C", LC_ALL: "C", CLUSTERLOCK_X: "1" };
    const env = nodeEnv(facts, { ...caller, PATH: "/opt/bin:/usr/bin" });
    assert.deepEqual(
      [env.NODE_OPTIONS, env.SECRET, env.LD_PRELOAD, env.LANG, env.LC_ALL, env.CLUSTERLOCK_X],
      [undefined, undefined, undefined, "C", "C", "1"],
    );
    assert.equal(env.PATH, "/opt/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin");
  });
});

describe("lab: what QEMU is told", () => {
  it("quotes parameters for the node's shell", () => {
    const line = kernelCommandLine({ A: "it's", B: "a b\n$(c)" });
    const encoded = /clusterlock\.env=(\S+)/.exec(line)?.[1] ?? "";
    assert.equal(Buffer.from(encoded, "base64").toString(), `A='it'\\''s'\nB='a b\n$(c)'\n`);
  });

  it("refuses a command line that the kernel would cut", () => {
    assert.throws(() => kernelCommandLine({ A: "x".repeat(2000) }), LabError);
  });

  it("doubles the commas of paths", () => {
    const args = qemuArgs({
      node: 1,
      accel: "tcg",
      cpus: 1,
      memory: 512,
      kernel: "/k",
      initramfs: "/i",
      parameters: {},
      layer: "/l",
      out: "/o,readonly=off",
      consoleLog: "/c",
      controlSocket: "/s",
      networkSocket: "/n",
    });
    assert.ok(args.some((arg) => arg.includes("path=/o,,readonly=off,")));
    assert.ok(args.includes("tcg,thread=multi"));
  });

  it("gives every node an address of its own", () => {
    assert.equal(new Set([1, 2, 3, 4, 5, 6, 7, 8].map(macAddress)).size, 8);
  });

  it("caches where XDG says", () => {
    assert.equal(cacheRoot({ XDG_CACHE_HOME: "/x" }), "/x/clusterlock");
    assert.match(cacheRoot({ XDG_CACHE_HOME: "relative" }), /\/\.cache\/clusterlock$/);
    assert.match(cacheRoot({}), /\/\.cache\/clusterlock$/);
  });
});
