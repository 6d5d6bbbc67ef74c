import assert from "node:assert/strict";

import { LogServer } from "../../../../lib/clog";
import { ListenerWatch } from "../../../../lib/clog/server/listeners";

import { Bench, until } from "./bench";
import { PORT } from "./fake-machine";

describe("a log server that begins", () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.end());

  async function refused(code: string, message: RegExp): Promise<void> {
    await assert.rejects(bench.listen(), { name: "Error", code, message });
  }

  describe("refuses to serve in vain:", () => {
    it("without CAP_SYS_ADMIN, for the kernel drops its answers", async () => {
      bench.machine.rights({ effective: "000001ffffdfffff" });
      await refused("EPERM", /a process without CAP_SYS_ADMIN answers; run it as root/);
      assert.equal(bench.machine.opened, 0);
    });

    it("without any rights", async () => {
      bench.machine.rights({ effective: "0000000000000000" });
      await refused("EPERM", /without CAP_SYS_ADMIN and CAP_NET_ADMIN/);
    });

    it("as the root of a user namespace, whose capabilities read the same", async () => {
      bench.machine.rights({ userNamespace: "user:[4026532837]" });
      await refused("EPERM", /in a user namespace/);
      assert.equal(bench.machine.opened, 0);
    });

    it("in another network namespace, where a socket can be had and hears nothing", async () => {
      bench.machine.remove("proc/self/net/connector");
      await refused("ECONNREFUSED", /network namespace has no connector/);
      assert.deepEqual(bench.machine.socket, ["close"]);
    });

    it("where procfs does not tell", async () => {
      bench.machine.remove("proc/self/status");
      await refused("EACCES", /mount procfs/);
    });
  });

  it("says which process has the socket", async () => {
    bench.machine.openFailure = { errno: -98, syscall: "bind" };
    bench.machine.netlink({ port: 4711, groups: 0, inode: 77 }, { port: PORT, groups: 0x40, inode: 78 });
    bench.machine.process(311, "other", 77);
    bench.machine.process(4242, "clogd", 78);
    await refused("EADDRINUSE", /bind \(another daemon is already running as process 4242 \(clogd\)/);
  });

  it("says that another has the socket, when nobody tells which", async () => {
    bench.machine.openFailure = { errno: -98, syscall: "bind" };
    await refused("EADDRINUSE", /another daemon is already running; a machine has one/);
  });

  for (const [errno, syscall, code, message] of [
    [-1, "setsockopt", "EPERM", /CAP_NET_ADMIN/],
    [-1, "socket", "EPERM", /confines/],
    [-93, "socket", "EPROTONOSUPPORT", /modprobe cn/],
    [-97, "socket", "EAFNOSUPPORT", /modprobe cn/],
    [-12, "socket", "ENOMEM", /not enough memory, socket$/],
  ] as const) {
    it(`says what to do about ${code} of ${syscall}`, async () => {
      bench.machine.openFailure = { errno, syscall };
      await refused(code, message);
    });
  }

  it("can be begun again where it has failed", async () => {
    bench.machine.openFailure = { errno: -93, syscall: "socket" };
    await refused("EPROTONOSUPPORT", /cn/);
    bench.machine.kill();
    bench.machine.openFailure = undefined;
    await bench.listen();
  });

  describe("tells of other listeners", () => {
    it("that hear the kernel's requests, each once, with the process", async () => {
      bench.machine.netlink(
        { port: PORT, groups: 0x40, inode: 70 },
        { port: 311, groups: 0x40, inode: 71 },
        { port: 4294967000, groups: 0x7f, inode: 72 },
        { port: 312, groups: 0x01, inode: 73 },
        { port: 313, groups: 0x40, inode: 74, protocol: 15 },
      );
      bench.machine.process(311, "cmirrord", 71);
      await bench.listen();
      await until(() => bench.troubles.length === 2);
      assert.deepEqual(bench.troubles, [
        { kind: "foreign-listener", port: 311, pid: 311, command: "cmirrord" },
        { kind: "foreign-listener", port: 4294967000, pid: undefined, command: undefined },
      ]);
    });
  });

  it("tells of a listener again when it has gone and come back", async () => {
    const found: number[] = [];
    const watch = new ListenerWatch(PORT, (port) => found.push(port));
    const one = { port: 311, groups: 0x40, inode: 71 };
    for (const sockets of [[one], [one], [one, { port: 312, groups: 0x40, inode: 72 }], [], [one]]) {
      bench.machine.netlink(...sockets);
      await watch.look();
    }
    watch.end();
    bench.machine.netlink({ port: 313, groups: 0x40, inode: 73 });
    await watch.look();
    assert.deepEqual(found, [311, 312, 311]);
  });

  describe("checks its options:", () => {
    const wrong: [unknown, string, RegExp][] = [
      ["x", "ERR_INVALID_ARG_TYPE", /"options" argument must be an object/],
      [{ logs: 5 }, "ERR_INVALID_ARG_TYPE", /"options.logs" argument must be an object/],
      [{ logs: {} }, "ERR_INVALID_ARG_VALUE", /is empty/],
      [{ logs: { x: 5 } }, "ERR_INVALID_ARG_TYPE", /"options.logs.x" argument must be a function/],
      [{ logs: { "a b": () => undefined } }, "ERR_INVALID_ARG_VALUE", /'a b'; a word/],
      [{ directory: true }, "ERR_INVALID_ARG_TYPE", /a string or false/],
      [{ directory: "run" }, "ERR_INVALID_ARG_VALUE", /an absolute path/],
      [{ port: 0 }, "ERR_INVALID_ARG_VALUE", /"options.port" argument is 0/],
      [{ port: 2 ** 31 }, "ERR_INVALID_ARG_VALUE", /2147483648/],
      [{ port: "clog" }, "ERR_INVALID_ARG_TYPE", /a number/],
      [{ receiveBuffer: 1.5 }, "ERR_INVALID_ARG_VALUE", /is 1.5/],
    ];
    for (const [options, code, message] of wrong) {
      it(JSON.stringify(options), async () => {
        await assert.rejects(LogServer.listen(options as object), { code, message });
        assert.equal(bench.machine.opened, 0);
      });
    }
  });
});
