// The status socket, in the server's directory: whoever connects gets one JSON document and the end. Root alone may connect.

import { chmodSync, rmSync } from "node:fs";
import net from "node:net";
import path from "node:path";

import { DaemonError } from "./errors";
import type { DaemonStatus } from "./status";

export const STATUS_SOCKET = "status.sock";

/** A client that does not read costs a connection for so long, and there are at most so many. */
const CLIENT_MS = 2_000;
const CLIENTS = 16;

export class StatusSocket implements Disposable {
  readonly #server: net.Server;
  readonly #clients = new Set<net.Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  /** To be called by the one daemon of the directory: the socket of one that died is in the way. */
  static async listen(directory: string, status: () => Promise<DaemonStatus>): Promise<StatusSocket> {
    const file = path.join(directory, STATUS_SOCKET);
    // what a client sends stays unread
    const server = net.createServer({ pauseOnConnect: true });
    const self = new StatusSocket(server);
    server.maxConnections = CLIENTS;
    server.on("connection", (client) => {
      self.#serve(client, status);
    });
    rmSync(file, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(file, resolve);
    });
    // too many open files, for one: that client finds nobody
    server.on("error", () => undefined);
    chmodSync(file, 0o600);
    server.unref();
    return self;
  }

  /** Also takes the socket out of the directory. */
  [Symbol.dispose](): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
  }

  #serve(client: net.Socket, status: () => Promise<DaemonStatus>): void {
    this.#clients.add(client);
    client.unref();
    const end = (): void => {
      client.destroy();
    };
    const timer = setTimeout(end, CLIENT_MS);
    timer.unref();
    client.on("error", () => undefined);
    client.on("close", () => {
      clearTimeout(timer);
      this.#clients.delete(client);
    });
    status().then((found) => client.end(`${JSON.stringify(found)}\n`, end), end);
  }
}

/** Asks the daemon of the directory. @throws DaemonError ERR_CLOGD_ABSENT when none answers in time. */
export async function queryStatus(directory: string, timeoutMs = 5_000): Promise<DaemonStatus> {
  const file = path.join(directory, STATUS_SOCKET);
  const client = net.connect(file);
  client.setEncoding("utf8");
  client.setTimeout(timeoutMs, () => {
    const message = `the daemon of ${directory} does not answer; it may be waiting for a device (cat /proc/PID/stack)`;
    client.destroy(new DaemonError("ERR_CLOGD_ABSENT", message));
  });
  let text = "";
  try {
    for await (const chunk of client as AsyncIterable<string>) text += chunk;
  } catch (error) {
    throw refusal(error, file);
  }
  try {
    return JSON.parse(text) as DaemonStatus;
  } catch (cause) {
    throw new DaemonError("ERR_CLOGD_ABSENT", `the daemon of ${directory} ended in the middle of its answer`, {
      cause,
    });
  }
}

function refusal(error: unknown, file: string): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return new DaemonError("ERR_CLOGD_ABSENT", `no daemon answers at ${file}`, { cause: error });
    case "EACCES":
    case "EPERM":
      return new DaemonError("ERR_CLOGD_PERMISSION", `${file}: only root may ask`, { cause: error });
    default:
      return error;
  }
}
