// Who else has joined the multicast group of the kernel's requests; net/netlink/af_netlink.c: netlink_native_seq_show.

import { readFile, readdir, readlink } from "node:fs/promises";
import path from "node:path";

import { ROOTS } from "./roots";

const NETLINK_CONNECTOR = 11;
// group 7, CN_IDX_DM
const GROUP_BIT = 1 << 6;

/** How often is looked, in milliseconds. */
const PERIOD_MS = 30_000;

export interface ConnectorSocket {
  /** nl_pid; 0 is the kernel's. */
  port: number;
  /** Whether it hears requests of dirty logs. */
  listens: boolean;
  inode: number;
}

/** A process that has a socket. */
export interface SocketOwner {
  pid: number;
  command: string | undefined;
}

/** The connector's sockets of this network namespace. */
export async function connectorSockets(): Promise<ConnectorSocket[]> {
  const text = await readFile(path.join(ROOTS.proc, "self/net/netlink"), "utf8");
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, protocol]) => Number(protocol) === NETLINK_CONNECTOR)
    .map((columns) => ({
      port: Number(columns[2]),
      listens: (parseInt(columns[3] ?? "", 16) & GROUP_BIT) !== 0,
      inode: Number(columns[9]),
    }));
}

/** Somebody who has the socket open; undefined when /proc does not show it. Looks at the descriptors of every process. */
export async function ownerOf(inode: number): Promise<SocketOwner | undefined> {
  const wanted = `socket:[${inode}]`;
  for (const pid of await readdir(ROOTS.proc)) {
    if (!/^\d+$/.test(pid)) continue;
    const descriptors = path.join(ROOTS.proc, pid, "fd");
    for (const descriptor of await readdir(descriptors).catch(() => [])) {
      const target = await readlink(path.join(descriptors, descriptor)).catch(() => undefined);
      if (target !== wanted) continue;
      const command = await readFile(path.join(ROOTS.proc, pid, "comm"), "utf8").catch(() => undefined);
      return { pid: Number(pid), command: command?.trim() };
    }
  }
  return undefined;
}

/** Looks for others now and then, and tells of each once for as long as it is there. */
export class ListenerWatch {
  readonly #port: number;
  readonly #found: (port: number, owner: SocketOwner | undefined) => void;
  readonly #timer: NodeJS.Timeout;
  #known = new Set<number>();
  #ended = false;

  constructor(port: number, found: (port: number, owner: SocketOwner | undefined) => void) {
    this.#port = port;
    this.#found = found;
    this.#timer = setInterval(() => void this.look(), PERIOD_MS).unref();
  }

  async look(): Promise<void> {
    const sockets = await connectorSockets().catch(() => undefined);
    if (!sockets) return;
    const foreign = sockets.filter(({ port, listens }) => listens && port !== 0 && port !== this.#port);
    const before = this.#known;
    this.#known = new Set(foreign.map(({ inode }) => inode));
    for (const { port, inode } of foreign) {
      if (before.has(inode)) continue;
      const owner = await ownerOf(inode).catch(() => undefined);
      if (!this.#ended) this.#found(port, owner);
    }
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
  }
}
