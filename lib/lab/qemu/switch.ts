// The cluster network: an Ethernet switch with one port for each node, in this process.

import type { Duplex } from "node:stream";

import { framed, FrameSplitter } from "./frames";

/** Bytes that may wait for a slow node; what comes on top is dropped, as a switch does. */
const MAX_QUEUE = 4 * 1024 * 1024;

export class Switch {
  readonly #ports = new Map<number, Duplex>();
  /** Which port a MAC address was last seen at. */
  readonly #learned = new Map<string, number>();

  /** Connects a node; its port is free again when the stream has ended. */
  attach(node: number, stream: Duplex): void {
    this.#ports.get(node)?.destroy();
    this.#ports.set(node, stream);
    const splitter = new FrameSplitter();
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const frame of splitter.push(chunk)) this.#forward(node, frame);
      } catch {
        // out of step with this peer for good: pull its cable
        stream.destroy();
      }
    });
    stream.on("error", () => undefined);
    stream.once("close", () => {
      if (this.#ports.get(node) === stream) this.#ports.delete(node);
    });
  }

  close(): void {
    for (const stream of this.#ports.values()) stream.destroy();
    this.#ports.clear();
  }

  #forward(from: number, frame: Buffer): void {
    this.#learned.set(address(frame, 6), from);
    const to = isGroup(frame) ? undefined : this.#learned.get(address(frame, 0));
    if (to !== undefined) {
      if (to !== from) this.#deliver(to, frame);
      return;
    }
    for (const port of this.#ports.keys()) if (port !== from) this.#deliver(port, frame);
  }

  #deliver(to: number, frame: Buffer): void {
    const stream = this.#ports.get(to);
    if (stream?.writable === true && stream.writableLength < MAX_QUEUE) stream.write(framed(frame));
  }
}

function address(frame: Buffer, offset: number): string {
  return frame.toString("hex", offset, offset + 6);
}

// broadcast and multicast
function isGroup(frame: Buffer): boolean {
  return (frame.readUInt8(0) & 1) === 1;
}
