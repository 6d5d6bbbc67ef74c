// The raw disks that all nodes share. The lab serves them itself, over NBD, so that it knows who wrote what and has not
// flushed it.

import { rm } from "node:fs/promises";
import type { Server } from "node:net";
import net from "node:net";
import path from "node:path";

import { serveNbd } from "./nbd-connection";
import type { Losing } from "./volume";
import { Volume } from "./volume";

export interface SharedDisksOptions {
  /** For files and sockets. */
  readonly directory: string;
  readonly nodes: readonly number[];
  /** Bytes of each disk. */
  readonly sizes: readonly number[];
}

export class SharedDisks {
  readonly #directory: string;
  readonly #volumes: Volume[] = [];
  readonly #servers: Server[] = [];
  /** A node's connections that are not over yet. */
  readonly #open = new Map<number, Set<Promise<void>>>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open({ directory, nodes, sizes }: SharedDisksOptions): Promise<SharedDisks> {
    const disks = new SharedDisks(directory);
    for (const [index, size] of sizes.entries()) {
      const volume = await Volume.create(disks.#file(index), size);
      disks.#volumes.push(volume);
      for (const node of nodes) await disks.#listen(index, volume, node);
    }
    return disks;
  }

  /** What attaches all disks to this node, as /dev/vda, /dev/vdb and so on. */
  qemuArgs(node: number): string[] {
    return this.#volumes.flatMap((_, index) => {
      const [name, socket] = [`shared${index}`, this.#socket(index, node).replaceAll(",", ",,")];
      return [
        ...["-blockdev", `driver=nbd,node-name=${name},server.type=unix,server.path=${socket}`],
        ...["-device", `virtio-blk-pci,drive=${name},share-rw=on,write-cache=on,serial=clusterlock-disk${index + 1}`],
      ];
    });
  }

  /** The node is off: what becomes of its unflushed writes. Returns how many sectors lost one. */
  async settle(node: number, losing: Losing, seed: number): Promise<number> {
    // what it had sent before its end counts as written
    await this.#over([node]);
    const lost = await Promise.all(
      this.#volumes.map(async (volume, index) => volume.settle(node, losing, seed + index)),
    );
    return lost.reduce((sum, sectors) => sum + sectors, 0);
  }

  /** To be called when all nodes are off. */
  async close(): Promise<void> {
    for (const server of this.#servers) server.close();
    await this.#over([...this.#open.keys()]);
    for (const [index, volume] of this.#volumes.entries()) {
      await volume.close();
      await rm(this.#file(index), { force: true });
    }
  }

  async #over(nodes: readonly number[]): Promise<void> {
    await Promise.all(nodes.flatMap((node) => [...(this.#open.get(node) ?? [])]));
  }

  #file(index: number): string {
    return path.join(this.#directory, `disk${index + 1}.raw`);
  }

  #socket(index: number, node: number): string {
    return path.join(this.#directory, `n${node}.disk${index + 1}`);
  }

  async #listen(index: number, volume: Volume, node: number): Promise<void> {
    const connections = this.#open.get(node) ?? new Set();
    this.#open.set(node, connections);
    const server = net.createServer((socket) => {
      const served = serveNbd(socket, volume, node).finally(() => connections.delete(served));
      connections.add(served);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#socket(index, node), resolve);
    });
  }
}
