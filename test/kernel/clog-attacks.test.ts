// Floods, strangers, and processes without the rights to serve: clear events, nothing wrong answered, and no I/O lost.

import assert from "node:assert/strict";
import path from "node:path";

import { Bench, type Checker, DISK, firstLine } from "./clog/bench";
import type { MirrorTable } from "./clog/mirror";
import { Server } from "./clog/server";
import { rounds } from "../rounds";

const PARTS = 8;
const LENGTH = DISK / PARTS;
const REGION = 64;
const PORT = 0x636c6f67;
const CLOG = path.resolve(__dirname, "../../dist/clog");

describe("clog: attacks", function () {
  this.timeout(240_000);
  let bench: Bench;
  let server: Server | undefined;

  const mirror = (part: number): MirrorTable => ({
    length: LENGTH,
    log: part % 2 === 0 ? "clustered-core" : "clustered-disk",
    ...(part % 2 === 0 ? {} : { device: `/dev/ram${2 + (part >> 1)}` }),
    uuid: `attacks-${part}`,
    integratedFlush: part % 4 >= 2,
    regionSize: REGION,
    legs: [
      ["/dev/ram0", part * LENGTH],
      ["/dev/ram1", part * LENGTH],
    ],
    handleErrors: true,
  });
  const write = (part: number, options: { threads?: number; pause?: number } = {}): Checker =>
    bench.checker(`/dev/mapper/m${part}`, { blocks: LENGTH / 8, seed: part, ...options });
  const settle = async (checkers: ReadonlyMap<number, Checker>): Promise<void> => {
    for (const [part, checker] of checkers) {
      const { errors } = await checker.stop();
      assert.equal(errors, 0, checker.complaint);
      await bench.synced(`m${part}`);
      await checker.verify(`/dev/mapper/m${part}`);
      for (const [leg, start] of mirror(part).legs as [string, number][]) await checker.verify(leg, start);
      assert.deepEqual(await bench.differ(mirror(part)), []);
    }
  };
  const troubles = async (kind: string): Promise<number> =>
    (await server!.told()).filter((told) => told.event === "trouble" && told.kind === kind).length;
  /** Tries to listen in a process of its own; what it says. */
  const refusal = async (...wrapper: string[]): Promise<string> => {
    const script = `require("${CLOG}").LogServer.listen().then(() => process.exit(), (e) => console.log(e.code, e.message))`;
    const words = [...wrapper, process.execPath, "-e", script].map((word) => `'${word}'`);
    const { stdout, stderr } = await bench.run(words.join(" "));
    assert.equal(stderr, "");
    return stdout;
  };

  before(async () => {
    bench = await Bench.open();
  });
  beforeEach(async () => {
    for (const ram of [0, 1]) await bench.fill(`/dev/ram${ram}`, "0");
    for (const ram of [2, 3, 4, 5]) await bench.fill(`/dev/ram${ram}`, "0", 0, 64);
  });
  afterEach(async () => {
    server ??= await Server.start(bench);
    await bench.clean();
    await server.stop();
    server = undefined;
  });
  after(() => bench.end());

  it("many mirrors at once, with readers, status in a loop, and another root's datagrams", async () => {
    server = await Server.start(bench);
    const parts = Array.from({ length: PARTS }, (_, part) => part);
    for (const part of parts) await bench.create(`m${part}`, mirror(part));
    const checkers = new Map(parts.map((part) => [part, write(part, { threads: 2, pause: 1000 })]));
    const seconds = rounds(60, 12);
    const loops = bench.run(`end=$(($(date +%s) + ${seconds}))
      (while [ $(date +%s) -lt $end ]; do dmsetup status >/dev/null; done) &
      (while [ $(date +%s) -lt $end ]; do for part in 0 1 2 3 4 5 6 7; do
        blocks read /dev/mapper/m$part 0 512 >/dev/null || exit 1; done; done) & reader=$!
      while [ $(date +%s) -lt $end ]; do stranger send ${PORT} mixed 400; sleep 0.2; done
      wait $reader`);
    const { code, stdout } = await loops;
    assert.equal(code, 0);
    const sent = stdout
      .trim()
      .split("\n")
      .reduce((sum, count) => sum + Number(count), 0);
    assert.ok(sent > 0);
    await Promise.all([...checkers.values()].map((checker) => checker.progress(20)));
    await settle(checkers);
    const statistics = await server.statistics();
    // half of them have what the socket's filter lets through
    assert.ok(statistics.dropped >= sent / 2, `${sent} were sent, ${statistics.dropped} dropped`);
    const told = await troubles("foreign-sender");
    assert.ok(told > 0 && told <= sent / 8, `${told} events of ${sent} datagrams`);
    assert.equal((await server.logs()).length, PARTS, "no log has come of a stranger's datagram");
    assert.ok(statistics.fast > 0 && statistics.slow > 0);
  });

  it("requests that are lost because nobody received them: told, and asked for again", async () => {
    server = await Server.start(bench, { receiveBuffer: 2304 });
    await bench.create("m1", mirror(1));
    await bench.synced("m1");
    const checker = write(1);
    await checker.progress(50);
    for (let round = 0; round < 3; round++) {
      server.shell.process.kill("SIGSTOP");
      // a status does not wait for what the kernel has asked already
      await bench.sh(`stranger send ${PORT} request 200; dmsetup status m1 >/dev/null 2>&1 & sleep 2`);
      server.shell.process.kill("SIGCONT");
      await checker.progress(20);
    }
    const { overruns } = await server.statistics();
    assert.ok(overruns > 0, "there was no overrun");
    const told = await troubles("overrun");
    assert.ok(told > 0, "nobody was told");
    await settle(new Map([[1, checker]]));
  });

  it("somebody who listens, too, and any number of them", async () => {
    const listeners = Array.from({ length: 3 }, () => bench.program("stranger", "listen"));
    for (const listener of listeners) assert.equal(await firstLine(listener), "joined");
    server = await Server.start(bench);
    await bench.create("m0", mirror(0));
    await bench.synced("m0");
    await server.until("all of them", () => true);
    const deadline = Date.now() + 10_000;
    while ((await troubles("foreign-listener")) < 3) {
      assert.ok(Date.now() < deadline, "not all were told");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const told = (await server.told()).filter(({ kind }) => kind === "foreign-listener");
    assert.ok(
      told.every(({ command }) => command === "stranger"),
      JSON.stringify(told),
    );
    assert.equal(told.length, 3);
    for (const listener of listeners) {
      listener.stdin.end();
      await listener.exit;
    }
  });

  it("two mirrors that were given one UUID", async () => {
    server = await Server.start(bench);
    await bench.create("m0", mirror(0));
    await bench.synced("m0");
    assert.equal(await troubles("uuid-shared"), 0);
    await bench.create("m2", { ...mirror(2), uuid: mirror(0).uuid! });
    const { mirrors } = await server.until("the word of it", ({ kind }) => kind === "uuid-shared");
    assert.deepEqual([...(mirrors as string[])].sort(), ["m0", "m2"]);
    await bench.sh("dmsetup remove m2");
    const checker = write(0);
    await checker.progress(20);
    await settle(new Map([[0, checker]]));
  });

  it("a process without the rights to answer does not begin to", async () => {
    for (const [name, capability] of [
      ["CAP_SYS_ADMIN", "sys_admin"],
      ["CAP_NET_ADMIN", "net_admin"],
    ] as const) {
      const said = await refusal("setpriv", `--bounding-set=-${capability}`, `--inh-caps=-${capability}`);
      assert.match(said, new RegExp(`^EPERM .*${name}.*root`, "s"));
    }
    assert.match(await refusal("setpriv", "--reuid=65534", "--clear-groups"), /^EPERM .*CAP_SYS_ADMIN/);
    assert.match(await refusal("unshare", "--user", "--map-root-user"), /^EPERM .*user namespace/);
  });

  it("in a network namespace that has no connector", async () => {
    assert.match(await refusal("unshare", "--net"), /^ECONNREFUSED .*network namespace/);
  });

  it("what was refused has left nothing that would be in the way", async () => {
    await refusal("unshare", "--net");
    await refusal("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin");
    server = await Server.start(bench);
    await bench.create("m0", mirror(0));
    await bench.synced("m0");
  });
});
