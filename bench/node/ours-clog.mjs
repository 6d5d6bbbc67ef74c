// clusterlock as the server of mirrors' logs: "listen" and "stop", each answered by a line.
import { once } from "node:events";
import { createRequire } from "node:module";
import os from "node:os";
import { createInterface } from "node:readline";

const { LogServer } = createRequire(import.meta.url)("../../dist/clog");

let server;
const orders = {
  async listen() {
    server = await LogServer.listen();
    return "done";
  },
  async stop() {
    await server.close();
    return "done";
  },
  facts: () => JSON.stringify({ kernel: os.release(), node: process.version, cpus: os.availableParallelism() }),
};

process.stdout.write("ready\n");
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => process.stdout.write(`${await orders[line]()}\n`));
await once(lines, "close");
