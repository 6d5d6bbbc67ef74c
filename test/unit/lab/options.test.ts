import assert from "node:assert/strict";
import path from "node:path";

import { parseRun } from "../../../lib/cli/lab/run";
import { amount, groups, links, nodes } from "../../../lib/cli/lab/values";
import { UsageError } from "../../../lib/cli/usage-error";
import { LabError, LabOptionError } from "../../../lib/lab/errors";
import { nodeEnv } from "../../../lib/lab/node-env";
import { checkGroups, checkLink, checkMs, checkNode, checkPercent } from "../../../lib/lab/keeper/checks";
import type { LabOptions } from "../../../lib/lab/options";
import { planLab, resolveOn } from "../../../lib/lab/options";
import { kernelCommandLine, macAddress, qemuArgs } from "../../../lib/lab/qemu/args";
import { cacheRoot } from "../../../lib/lab/paths";

describe("lab: arguments of lab run", () => {
  it("are read, and the command's own options are left alone", () => {
    const line =
      "--nodes 3 --stack=none --on 1,3 --fencing off --disk 64M --disk=1G --record r --kernel k --cpus 2 --memory 512 " +
      "--timeout 1.5 --log d --name x.y -- sh -c x";
    assert.deepEqual(parseRun(line.split(" ")), {
      command: ["sh", "-c", "x"],
      nodes: 3,
      stack: "none",
      on: [1, 3],
      fencing: "off",
      disks: ["64M", "1G"],
      record: "r",
      kernel: "k",
      cpus: 2,
      memory: 512,
      timeout: 1500,
      log: "d",
      name: "x.y",
    });
  });

  it("end at the first word that is not an option", () => {
    assert.deepEqual(parseRun(["--nodes", "1", "ls", "--nodes", "9"]), {
      command: ["ls", "--nodes", "9"],
      nodes: 1,
    });
    assert.deepEqual(parseRun(["ls", "--", "-l"]), { command: ["ls", "--", "-l"] });
    assert.deepEqual(parseRun(["--", "--nodes"]), { command: ["--nodes"] });
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
    "--stack o2cbs -- x",
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
    "--kernels /k -- x",
    "-x -- x",
    "--nodes",
  ];
  for (const line of wrong) {
    it(`are refused: "${line}"`, () => {
      assert.throws(
        () => parseRun(line.split(" ").filter((word) => word !== "")),
        (error) =>
          (error instanceof UsageError || error instanceof LabOptionError) &&
          error.message !== "" &&
          !error.message.includes("\n"),
      );
    });
  }
});

describe("lab: arguments of its faults", () => {
  const known = [1, 2, 3];

  it("name nodes", () => {
    assert.deepEqual(nodes(["1", "n3"], known), [1, 3]);
    assert.deepEqual(nodes(["2,3"], known), [2, 3]);
    assert.deepEqual(nodes(["all"], known), [1, 2, 3]);
  });

  it("name groups, links and amounts", () => {
    assert.deepEqual(groups(["1,2/3"]), [[1, 2], [3]]);
    assert.deepEqual(groups(["n1/n2"]), [[1], [2]]);
    assert.deepEqual(links("1-3", known), [[1, 3]]);
    assert.deepEqual(links("2", known), [[1, 2], [2, 3]]); // prettier-ignore
    assert.deepEqual(links("all", known), [[1, 2], [1, 3], [2, 3]]); // prettier-ignore
    assert.equal(amount("loss", "%", ["12.5%"]), 12.5);
    assert.equal(amount("delay", "ms", ["100"]), 100);
  });

  it("are refused when they name nothing", () => {
    const wrong: (() => unknown)[] = [
      () => nodes([], known),
      () => nodes(["x"], known),
      () => groups([]),
      () => groups(["1/"]),
      () => groups(["1 2"]),
      () => groups(["1", "2"]),
      () => links(undefined, known),
      () => links("4", known),
      () => links("1-", known),
      () => amount("loss", "%", []),
      () => amount("loss", "%", ["many"]),
      () => amount("loss", "%", ["-1"]),
      () => amount("loss", "%", ["1", "2"]),
    ];
    for (const call of wrong) assert.throws(call, UsageError, call.toString());
  });

  it("are checked against the cluster", () => {
    assert.throws(() => checkNode(4, known), LabOptionError);
    assert.throws(() => checkNode("1", known), LabOptionError);
    assert.deepEqual(checkGroups([[1], [2]], known), [[1], [2]]);
    for (const wrong of [[], [[]], [[1], [1]], [[1, 1]], [[4]], [[1, 2, 3]], "1/2"]) {
      assert.throws(() => checkGroups(wrong, known), LabOptionError, JSON.stringify(wrong));
    }
    assert.throws(() => checkLink([1, 1], known), LabOptionError);
    assert.throws(() => checkPercent(101), LabOptionError);
    assert.throws(() => checkMs(NaN), LabOptionError);
  });
});

describe("lab: options", () => {
  it("have defaults", () => {
    const { nodes, stack, fencing, cpus } = planLab({});
    assert.deepEqual({ nodes, stack, fencing, cpus }, { nodes: 2, stack: "dlm", fencing: "on", cpus: 1 });
  });

  it("have limits", () => {
    const wrong: LabOptions[] = [
      ...[{ nodes: 9 }, { nodes: NaN }, { cpus: 0 }, { memory: 64 }, { memory: 512.5 }, { log: "" }, { kernel: "" }],
      ...[{ record: "r" }, { record: "", disks: ["1M"] }],
      ...["/", "/proc/x", "/sys", "/proc/../"].map((log) => ({ log })),
      ...["", "a/b", ".", "x".repeat(33)].map((name) => ({ name })),
      ...["1", "1K", "1M1", "2T", "1.5G", "1000001", "64 M"].map((size) => ({ disks: [size] })),
      { disks: Array.from({ length: 9 }, () => "1M") },
      { stack: "o2cb", fencing: "off" },
    ];
    for (const options of wrong) assert.throws(() => planLab(options), LabOptionError, JSON.stringify(options));
  });

  it("give disks in bytes, and paths that hold in another directory", () => {
    const { disks, kernel, log } = planLab({ disks: ["64M", 1048576, "1G", "2048K"], kernel: "k", log: "/l" });
    assert.deepEqual(disks, [2 ** 26, 2 ** 20, 2 ** 30, 2 ** 21]);
    assert.equal(kernel, path.resolve("k"));
    assert.equal(log, "/l");
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
      systemLog: "/y",
      disks: ["-device", "shared"],
      heartbeat: "/h",
      controlSocket: "/s",
      networkSocket: "/n",
    });
    assert.ok(args.some((arg) => arg.includes("path=/o,,readonly=off,")));
    assert.ok(args.includes("tcg,thread=multi"));
    // disks are named in the order in which they are attached
    assert.ok(args.indexOf("shared") < args.findIndex((arg) => arg.includes("drive=heartbeat")));
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
