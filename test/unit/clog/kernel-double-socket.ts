import { encodeAnswer } from "../../../lib/clog/protocol/encode";
import { type LogRequest, REQUEST_NAMES, requestNumber } from "../../../lib/clog/protocol/requests";
import type {
  NativeLogPacket,
  NativeLogSocket,
  NativeLogStats,
  NativeLogTrouble,
  NativeRegions,
} from "../../../lib/native";

import type { Exchange, KernelDouble } from "./kernel-double";

/** The socket of the connector and its receive thread, of a {@link KernelDouble}. */
export class SocketDouble implements NativeLogSocket {
  readonly port: number;
  readonly receiveBuffer: number;
  /** Whether it holds the process. */
  ref = true;

  readonly #kernel: KernelDouble;
  readonly #onRequests: (requests: NativeLogPacket[]) => void;
  readonly #onTrouble: (trouble: NativeLogTrouble) => void;
  readonly #attached = new Map<string, NativeRegions>();
  readonly #latency: number[][] = Array.from({ length: REQUEST_NAMES.length + 1 }, () => new Array<number>(32).fill(0));
  readonly #longest = new Array<number>(REQUEST_NAMES.length + 1).fill(0);
  readonly #counts = { received: 0, fast: 0, slow: 0, replies: 0, dropped: 0, overruns: 0 };
  #batch: NativeLogPacket[] = [];
  #closed = false;

  constructor(
    kernel: KernelDouble,
    port: number,
    receiveBuffer: number,
    onRequests: (requests: NativeLogPacket[]) => void,
    onTrouble: (trouble: NativeLogTrouble) => void,
  ) {
    this.#kernel = kernel;
    this.port = port;
    this.receiveBuffer = receiveBuffer;
    this.#onRequests = onRequests;
    this.#onTrouble = onTrouble;
  }

  reply(datagram: Uint8Array, type: number, since: number): number {
    this.#open();
    if (!Number.isFinite(since) || since > now()) this.#kernel.refuse(`reply() of a request that came at ${since}`);
    this.#count(type, since);
    this.#kernel.receiveReply(Buffer.from(datagram), "server", type);
    return 0;
  }

  attach(uuid: string, luid: bigint, seed: boolean, regions: NativeRegions): void {
    this.#open();
    this.#attached.set(key(uuid, luid, seed), regions);
  }

  detach(uuid: string, luid: bigint): void {
    this.#open();
    for (const seed of [false, true]) this.#attached.delete(key(uuid, luid, seed));
  }

  /** Whether the receive thread answers for the log. */
  attached(uuid: string, luid: bigint): boolean {
    return this.#attached.has(key(uuid, luid, false)) || this.#attached.has(key(uuid, luid, true));
  }

  stats(): NativeLogStats {
    return { ...this.#counts, latency: this.#latency.map((row) => [...row]), longest: [...this.#longest] };
  }

  setRef(on: boolean): void {
    this.ref = on;
  }

  close(closed?: () => void): void {
    this.#closed = true;
    this.#kernel.forget(this);
    if (closed) setImmediate(closed);
  }

  /** A datagram of the kernel has come. */
  receive(exchange: Exchange): void {
    const since = now();
    this.#counts.received++;
    // another thread: what it does happens by itself, but never while JavaScript is between two lines
    setImmediate(() => {
      if (this.#closed) return;
      const answer = this.#kernel.receiveThread ? this.#answer(exchange.request) : undefined;
      if (!answer) {
        this.deliver(exchange.packet, since);
        return;
      }
      const type = requestNumber(exchange.request.body.name);
      this.#counts.fast++;
      this.#count(type, since);
      this.#kernel.receiveReply(answer, "thread", type);
    });
  }

  /** Gives a datagram to JavaScript, with others that come at the same time. */
  deliver(packet: Buffer, since: number = now()): void {
    this.#counts.slow++;
    this.#batch.push({ packet, since });
    if (this.#batch.length > 1) return;
    setImmediate(() => {
      const batch = this.#batch.splice(0);
      if (!this.#closed) this.#onRequests(batch);
    });
  }

  overrun(): void {
    this.#counts.overruns++;
    this.trouble({ kind: "overrun" });
  }

  trouble(trouble: NativeLogTrouble): void {
    if (trouble.kind === "malformed" || trouble.kind === "foreign-sender") this.#counts.dropped++;
    setImmediate(() => {
      if (!this.#closed) this.#onTrouble(trouble);
    });
  }

  // What the receive thread answers by itself.
  #answer(request: LogRequest): Buffer | undefined {
    const { body } = request;
    const regions = this.#attached.get(key(request.uuid, request.luid, request.flavour === "clog"));
    if (!regions || !named(request).every((region) => region < regions.count)) return undefined;
    switch (body.name) {
      case "IN_SYNC":
        return encodeAnswer(request, { name: body.name, yes: regions.inSync(Number(body.region)) });
      case "IS_CLEAN":
        return encodeAnswer(request, { name: body.name, yes: regions.isClean(Number(body.region)) });
      case "MARK_REGION":
        regions.mark(body.regions.map(Number));
        return encodeAnswer(request, { name: body.name });
      case "CLEAR_REGION":
        regions.clear(body.regions.map(Number));
        return encodeAnswer(request, { name: body.name });
      case "FLUSH":
        regions.mark(body.regions.map(Number));
        return regions.pending().length === 0 ? encodeAnswer(request, { name: body.name }) : undefined;
      default:
        return undefined;
    }
  }

  #count(type: number, since: number): void {
    const microseconds = Math.max(0, Math.round((now() - since) * 1000));
    const row = this.#latency[type];
    if (!row) throw new RangeError(`reply() of type ${type}`);
    const index = Math.min(31, microseconds === 0 ? 0 : Math.floor(Math.log2(microseconds)) + 1);
    row[index] = row[index]! + 1;
    this.#longest[type] = Math.max(this.#longest[type]!, microseconds);
    this.#counts.replies++;
  }

  #open(): void {
    if (this.#closed) throw new Error("the log socket is closed");
  }
}

// Regions that are not there are for JavaScript to tell somebody of.
function named({ body }: LogRequest): readonly bigint[] {
  if ("regions" in body) return body.regions;
  return "region" in body ? [body.region] : [];
}

// CLOCK_MONOTONIC in milliseconds
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function key(uuid: string, luid: bigint, seed: boolean): string {
  return `${seed ? "clog" : "ulog"} ${luid} ${uuid}`;
}
