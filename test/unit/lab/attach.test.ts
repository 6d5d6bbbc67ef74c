import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import path from "node:path";

import { LabError } from "../../../lib/lab/errors";
import { attach } from "../../../lib/lab/up";

describe("lab: attaching", () => {
  let directory: string;
  let before: string | undefined;

  beforeEach(() => {
    directory = mkdtempSync("/tmp/clt-");
    before = process.env.CLUSTERLOCK_LAB;
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
    if (before === undefined) delete process.env.CLUSTERLOCK_LAB;
    else process.env.CLUSTERLOCK_LAB = before;
  });

  async function serve(words: string): Promise<net.Server> {
    const socket = path.join(directory, "lab.sock");
    process.env.CLUSTERLOCK_LAB = socket;
    const server = net.createServer((stream) => {
      stream.on("error", () => undefined);
      stream.end(words);
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    return server;
  }

  it("to what is no lab fails in one line", async () => {
    const server = await serve("HTTP/1.1 400 Bad Request\r\n\r\n");
    await assert.rejects(attach(), (error) => error instanceof LabError && /is no lab/.test(error.message));
    server.close();
  });

  it("to a lab of another version says which", async () => {
    const server = await serve(`${JSON.stringify({ t: "lab", facts: { version: "0.0.1", name: "old" } })}\n`);
    await assert.rejects(attach(), /lab old was started by clusterlock 0\.0\.1/);
    server.close();
  });

  it("to a lab that has ended, or never was, says so", async () => {
    const server = await serve("");
    await assert.rejects(attach(), /the lab has ended/);
    server.close();
    process.env.CLUSTERLOCK_LAB = path.join(directory, "nothing");
    await assert.rejects(attach(), /no lab answers at CLUSTERLOCK_LAB=/);
    await assert.rejects(attach("not/a name"), /name: /);
  });
});
