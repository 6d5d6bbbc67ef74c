import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import type { DaemonStatus } from "../../../../lib/clog/daemon/status";
import { queryStatus, STATUS_SOCKET, StatusSocket } from "../../../../lib/clog/daemon/status-socket";

const STATUS: DaemonStatus = {
  pid: 4711,
  startTicks: "1",
  version: "0.1.0",
  uptime: 1,
  directory: "/run/clusterlock/clogd",
  state: "serving",
  protection: { lockMemory: false, ioFlusher: false, oomScoreAdj: 0 },
  warnings: [],
  counts: { received: 1, fast: 0, slow: 0, retries: 0, coalesced: 0, dropped: 0, overruns: 0 },
  troubles: {},
  linesDropped: 0,
  requests: {},
  logs: [],
};

describe("the status socket", () => {
  let directory: string;
  let socket: StatusSocket | undefined;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), "clogd-"));
  });
  afterEach(() => {
    socket?.[Symbol.dispose]();
    socket = undefined;
    rmSync(directory, { recursive: true });
  });

  const file = (): string => path.join(directory, STATUS_SOCKET);
  async function serve(status: DaemonStatus): Promise<void> {
    socket = await StatusSocket.listen(directory, () => Promise.resolve(status));
  }

  it("is root's alone, takes the place of a dead daemon's, and goes with its daemon", async () => {
    writeFileSync(file(), "left");
    await serve(STATUS);
    assert.equal(statSync(file()).mode & 0o777, 0o600);
    assert.deepEqual(await queryStatus(directory), STATUS);
    socket![Symbol.dispose]();
    assert.equal(existsSync(file()), false);
  });

  it("answers while clients that read nothing and never close are there, and gets rid of them", async () => {
    // more than a socket's buffers hold
    const big = { ...STATUS, warnings: ["x".repeat(8 << 20)] };
    await serve(big);
    const idle = Array.from({ length: 10 }, () => net.connect(file()).pause());
    await Promise.all(idle.map((client) => once(client, "connect")));
    assert.deepEqual(await queryStatus(directory), big);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const read = await Promise.all(
      idle.map(async (client) => {
        let size = 0;
        client.on("error", () => undefined).on("data", (chunk: Buffer) => (size += chunk.length));
        await once(client.resume(), "close");
        return size;
      }),
    );
    for (const size of read) assert.ok(size < 8 << 20, `${size} bytes`);
  });

  it("has room again after a crowd", async () => {
    await serve(STATUS);
    const crowd = Array.from({ length: 100 }, () =>
      net
        .connect(file())
        .on("error", () => undefined)
        .resume(),
    );
    await Promise.all(crowd.map((client) => once(client, "close")));
    assert.deepEqual(await queryStatus(directory), STATUS);
  });

  it("says when no daemon answers: no socket, a dead one's, a silent one", async () => {
    await assert.rejects(queryStatus(directory), { code: "ERR_CLOGD_ABSENT", message: /no daemon answers at/ });
    const silent = net.createServer().listen(file());
    await once(silent, "listening");
    await assert.rejects(queryStatus(directory, 100), { code: "ERR_CLOGD_ABSENT", message: /does not answer/ });
    silent.close();
    const cut = net.createServer((client) => client.end("{")).listen(file());
    await once(cut, "listening");
    await assert.rejects(queryStatus(directory), { code: "ERR_CLOGD_ABSENT", message: /in the middle/ });
    cut.close();
  });

  it("says who may ask", async function () {
    if (process.getuid?.() === 0) {
      // root may always: another user is asked for by setting the process's own
      await serve(STATUS);
      chmodSync(directory, 0o755);
      process.seteuid!(65_534);
      try {
        await assert.rejects(queryStatus(directory), { code: "ERR_CLOGD_PERMISSION" });
      } finally {
        process.seteuid!(0);
      }
    }
  });
});
