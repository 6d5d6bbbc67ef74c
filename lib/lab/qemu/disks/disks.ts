// The shared disks of a QEMU cluster. This process serves them, by NBD on a unix socket for each node and disk: so it
// knows who has written what, and can lose what a node has not flushed when the node's host is to lose power.

import type { Server, Socket } from "node:net";
import net from "node:net";
import path from "node:path";

import { LabError, messageOf } from "../../errors";
import { within } from "../../waiting";
import { Recorder } from "../../recording";
import type { Store } from "./nbd-server";
import { serveNbd } from "./nbd-server";
import { random } from "./random";
import { MAX_DISKS } from "../../disk-size";
import { SECTOR } from "./versions";
import { Volume } from "./volume";

export interface DiskServerOptions {
  /** For sockets and files. */
  readonly directory: string;
  readonly nodes: readonly number[];
  /** Bytes, multiples of 512. */
  readonly sizes: readonly number[];
  /** A file to be made, of which readRecording tells. */
  readonly record?: string | undefined;
}

/** Disks have PCI slots of their own, one after the other, so that their order is the order of their names. */
const FIRST_SLOT = 0x10;
const PREFERRED_BLOCK = 4096;
/** The kernel's limit, without the 0 at the end. */
const MAX_SOCKET_PATH = 107;
/** A machine uses one connection for each disk. */
const MAX_CONNECTIONS = 4;
/** Seconds that requests under way may take to end. */
const PATIENCE = 60;

interface Connection {
  readonly node: number;
  readonly socket: Socket;
  readonly done: Promise<void>;
}

export class SharedDisks {
  readonly #options: DiskServerOptions;
  readonly #volumes: Volume[] = [];
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Connection>();
  #recorder: Recorder | undefined;

  private constructor(options: DiskServerOptions) {
    this.#options = options;
  }

  /** Makes the disks, all zeroes, and listens for the nodes. */
  static async open(options: DiskServerOptions): Promise<SharedDisks> {
    const disks = new SharedDisks(options);
    try {
      await disks.#open();
    } catch (error) {
      await disks.close();
      throw error instanceof LabError ? error : new LabError(`cannot make the shared disks: ${messageOf(error)}`);
    }
    return disks;
  }

  /** QEMU arguments that attach all disks to this node, in order (/dev/vda, /dev/vdb, ...). */
  qemuArgs(node: number): string[] {
    return this.#options.sizes.flatMap((_, index) => {
      const name = diskName(index);
      const device = [
        `virtio-blk-pci,drive=${name},serial=clusterlock-${name},addr=0x${(FIRST_SLOT + index).toString(16)}`,
        // the guest sees a volatile cache, and flushes it
        "write-cache=on",
        // the server offers neither, and QEMU would say yes and do nothing
        "discard=off,write-zeroes=off",
      ].join(",");
      // a comma ends an option's value unless it is doubled
      const socket = this.#socket(node, index).replaceAll(",", ",,");
      const blockdev = `driver=nbd,server.type=unix,server.path=${socket},node-name=${name},export=${name}`;
      return ["-blockdev", blockdev, "-device", device];
    });
  }

  /**
   * The node's machine is off, and must not be on again before this resolves. Settles what it had not flushed: the
   * writes that were answered, and those under way that were not. Returns how many sectors went back to what they held.
   */
  async settle(node: number, lose: "none" | "some" | "all", seed: number): Promise<number> {
    await this.#disconnect((connection) => connection.node === node);
    this.#recorder?.lost(node);
    const next = random(seed);
    let lost = 0;
    try {
      for (const volume of this.#volumes) {
        if (lose === "none") await volume.flush(node);
        else lost += await volume.lose(node, () => lose === "some" && next() < 0.5);
      }
    } catch (error) {
      throw new LabError(`the shared disks could not lose what n${node} had not flushed: ${messageOf(error)}`);
    }
    return lost;
  }

  /** Ends all connections, and removes files and sockets. */
  async close(): Promise<void> {
    const closed = this.#servers.splice(0).map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => {
            resolve();
          });
        }),
    );
    await this.#disconnect(() => true);
    await Promise.all(closed);
    await Promise.all(this.#volumes.splice(0).map((volume) => volume.close()));
    this.#recorder?.close();
    this.#recorder = undefined;
  }

  async #open(): Promise<void> {
    const { directory, nodes, sizes } = this.#options;
    if (sizes.length > MAX_DISKS) throw new LabError(`${sizes.length} disks are too many: ${MAX_DISKS} is the most`);
    if (this.#options.record !== undefined) this.#recorder = new Recorder(this.#options.record, sizes);
    for (const [index, size] of sizes.entries()) {
      const volume = await Volume.create(path.join(directory, `${diskName(index)}.raw`), size, nodes);
      this.#volumes.push(volume);
      for (const node of nodes) await this.#listen(node, index, volume);
    }
  }

  async #listen(node: number, index: number, volume: Volume): Promise<void> {
    const file = this.#socket(node, index);
    if (Buffer.byteLength(file) > MAX_SOCKET_PATH) throw new LabError(`${file} is too long for a socket: set TMPDIR`);
    const store: Store = {
      name: diskName(index),
      size: volume.size,
      block: { minimum: SECTOR, preferred: PREFERRED_BLOCK },
      read: (offset: number, length: number) => volume.read(offset, length),
      write: (offset: number, pieces: readonly Buffer[], durable: boolean) =>
        volume.write(node, offset, pieces, durable),
      flush: () => volume.flush(node),
    };
    const recorded = this.#recorder === undefined ? store : record(this.#recorder, node, index, store);
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const connection = { node, socket, done: serveNbd(socket, recorded) };
      this.#connections.add(connection);
      socket.once("close", () => this.#connections.delete(connection));
    });
    server.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(file, resolve);
    });
    this.#servers.push(server);
  }

  async #disconnect(which: (connection: Connection) => boolean): Promise<void> {
    const ending = [...this.#connections].filter(which);
    for (const { socket } of ending) socket.destroy();
    const ended = Promise.all(ending.map(({ done }) => done));
    await within(PATIENCE, "requests to the shared disks", new AbortController().signal, ended);
  }

  #socket(node: number, index: number): string {
    return path.join(this.#options.directory, `n${node}.${diskName(index)}`);
  }
}

/** The store, with all that changes it recorded. What cannot be recorded fails. */
function record(recorder: Recorder, node: number, disk: number, store: Store): Store {
  const ended = async (request: number, action: Promise<void>): Promise<void> => {
    try {
      await action;
    } catch (error) {
      recorder.done(request, true);
      throw error;
    }
    recorder.done(request, false);
  };
  return {
    ...store,
    write: async (offset, pieces, durable) =>
      ended(recorder.write(node, disk, offset, pieces, durable), store.write(offset, pieces, durable)),
    flush: async () => ended(recorder.flush(node, disk), store.flush()),
  };
}

function diskName(index: number): string {
  return `disk${index + 1}`;
}
