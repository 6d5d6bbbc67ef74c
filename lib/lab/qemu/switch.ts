// The cluster network: an Ethernet switch with one port for each node, and the faults a network can have.

import type { Duplex } from "node:stream";

import type { Link, LinkStatus } from "../cluster";
import { framed, FrameSplitter } from "./frames";

/** Bytes that may wait for a slow node; what comes on top is dropped, as a switch does. */
const MAX_QUEUE = 4 * 1024 * 1024;

interface Fault {
  /** 0..1 */
  loss: number;
  /** Milliseconds */
  delay: number;
}

export class Switch {
  readonly #ports = new Map<number, Duplex>();
  /** Which port a MAC address was last seen at. */
  readonly #learned = new Map<string, number>();
  readonly #faults = new Map<string, Fault>();
  readonly #delayed = new Set<NodeJS.Timeout>();
  /** The group of each node that is in one; all others are in one more. */
  #groups = new Map<number, number>();

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
    for (const timer of this.#delayed) clearTimeout(timer);
    this.#delayed.clear();
  }

  /** Only nodes of one group hear each other; those in no group are one more. */
  partition(groups: readonly (readonly number[])[]): void {
    this.#groups = new Map(groups.flatMap((group, index) => group.map((node) => [node, index + 1])));
  }

  /** Whether frames of these two reach each other. */
  connects(one: number, other: number): boolean {
    return this.#groups.get(one) === this.#groups.get(other);
  }

  /** Loses this share (0..1) of the frames between two nodes. */
  loss(link: Link, share: number): void {
    this.#change(link, { loss: share });
  }

  /** Makes frames between two nodes arrive later by so many milliseconds, in their order. */
  delay(link: Link, ms: number): void {
    this.#change(link, { delay: ms });
  }

  heal(): void {
    this.#groups.clear();
    this.#faults.clear();
  }

  get faults(): LinkStatus[] {
    return [...this.#faults].map(([key, { loss, delay }]) => {
      const [one = 0, other = 0] = key.split("-").map(Number);
      return { link: [one, other], loss: loss * 100, delay };
    });
  }

  #change(link: Link, change: Partial<Fault>): void {
    const key = keyOf(...link);
    const fault = { loss: 0, delay: 0, ...this.#faults.get(key), ...change };
    if (fault.loss === 0 && fault.delay === 0) this.#faults.delete(key);
    else this.#faults.set(key, fault);
  }

  #forward(from: number, frame: Buffer): void {
    this.#learned.set(address(frame, 6), from);
    const to = isGroup(frame) ? undefined : this.#learned.get(address(frame, 0));
    if (to !== undefined) {
      if (to !== from) this.#cross(from, to, frame);
      return;
    }
    for (const port of this.#ports.keys()) if (port !== from) this.#cross(from, port, frame);
  }

  #cross(from: number, to: number, frame: Buffer): void {
    if (!this.connects(from, to)) return;
    const fault = this.#faults.size === 0 ? undefined : this.#faults.get(keyOf(from, to));
    if (fault === undefined) {
      this.#deliver(to, frame);
      return;
    }
    if (Math.random() < fault.loss) return;
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      // a cable cut meanwhile loses what was on it
      if (this.connects(from, to)) this.#deliver(to, frame);
    }, fault.delay);
    this.#delayed.add(timer);
  }

  #deliver(to: number, frame: Buffer): void {
    const stream = this.#ports.get(to);
    if (stream?.writable === true && stream.writableLength < MAX_QUEUE) stream.write(framed(frame));
  }
}

function keyOf(one: number, other: number): string {
  return one < other ? `${one}-${other}` : `${other}-${one}`;
}

function address(frame: Buffer, offset: number): string {
  return frame.toString("hex", offset, offset + 6);
}

// broadcast and multicast
function isGroup(frame: Buffer): boolean {
  return (frame.readUInt8(0) & 1) === 1;
}
