import os from "node:os";

import { decodeRequest } from "../../../lib/clog/protocol/decode";
import { type LogRequest, type RequestName, requestNumber } from "../../../lib/clog/protocol/requests";
import type { NativeAddon, NativeLogTrouble } from "../../../lib/native";

import { KernelLog, type KernelTable } from "./kernel-double-log";
import { type Outgoing, type Reply, misunderstanding, packRequest, unpackReply } from "./kernel-double-packets";
import { SocketDouble } from "./kernel-double-socket";

export { KernelError, KernelLog, type KernelTable } from "./kernel-double-log";

const { EADDRINUSE, EAGAIN, EINVAL, ENOSPC, ESRCH } = os.constants.errno;

/** Milliseconds, in place of the kernel's own. */
export interface KernelTimes {
  /** Until a request is asked again; 15 s. */
  retry: number;
  /** Between attempts to reach a server again; the kernel's 2 s are 20 ms here. */
  reconnect: number;
  /** In which IS_REMOTE_RECOVERING is asked once by all logs; the kernel's 250 are 0 here. */
  remote: number;
  /** Until clears are flushed with `integratedFlush`; the kernel's 3 s are 30 ms here. */
  flush: number;
}

export interface KernelOptions {
  times?: Partial<KernelTimes>;
  /** Whether what the receive thread answers from attached regions is answered so; true. */
  receiveThread?: boolean;
  /** Whether an answer that the kernel would take wrongly fails the test, and not only the kernel's caller; true. */
  strict?: boolean;
  /** DM_ULOG_REQUEST_VERSION of requests of mainline's layout; 3. */
  version?: number;
  /** dm_get_device(): 0, or a negative errno. */
  getDevice?: (path: string) => number;
}

/** One datagram of the kernel, and what became of it. */
export interface Exchange {
  readonly request: LogRequest;
  readonly packet: Buffer;
  /** The answer that counted; undefined as long as there is none. */
  reply?: Reply;
  /** Who gave it. */
  by?: "thread" | "server";
  /** Answers that came when nobody waited any more. */
  stale: number;
}

/** What dm_consult_userspace() returns. `room`: value and result, bytes. */
export interface Consulted {
  error: number;
  data: Buffer;
}

interface Waiting {
  readonly exchange: Exchange;
  readonly room: { bytes: number };
  error: number;
  data: Buffer;
  complete: () => void;
}

/**
 * The kernel, as a log server meets it: drivers/md/dm-log-userspace-transfer.c below any number of logs
 * ({@link KernelDouble.ctr}), and the connector with the receive thread of csrc/clog below its NativeLogSocket.
 * Put in place with `useAddon({ ...NO_ADDON, openLogSocket: kernel.open })`.
 *
 * An answer that a kernel would take wrongly throws where it is sent, rejects what the kernel's caller waits for, and is
 * thrown by {@link check}, which a test calls at its end.
 */
export class KernelDouble {
  readonly times: KernelTimes;
  readonly receiveThread: boolean;
  readonly version: number;
  readonly getDevice: (path: string) => number;
  /** Everything the kernel has sent, oldest first. */
  readonly exchanges: Exchange[] = [];
  /** What the kernel would have logged. */
  readonly messages: string[] = [];
  /** What the server did wrong. */
  readonly wrong: Error[] = [];
  /** Whether the server has CAP_SYS_ADMIN: without it, the kernel ignores what it says. */
  privileged = true;
  /** When IS_REMOTE_RECOVERING may be asked next, by any log; performance.now(). */
  remoteLimit = 0;

  readonly #strict: boolean;
  readonly #sockets: SocketDouble[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #bySeq = new Map<number, Exchange>();
  readonly #misunderstood = new Map<Exchange, Error>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #seq = 0;
  #luid = 0xff304d91d8afe800n;
  #lost = 0;
  #overrun = 0;
  #closed = false;

  constructor(options: KernelOptions = {}) {
    this.times = { retry: 15_000, reconnect: 20, remote: 0, flush: 30, ...options.times };
    this.receiveThread = options.receiveThread ?? true;
    this.version = options.version ?? 3;
    this.getDevice = options.getDevice ?? (() => 0);
    this.#strict = options.strict ?? true;
  }

  /** openLogSocket() of the addon. */
  readonly open: NativeAddon["openLogSocket"] = (port, receiveBuffer, opened, onRequests, onTrouble) => {
    setImmediate(() => {
      if (this.#sockets.some((socket) => socket.port === port)) {
        opened({ errno: -EADDRINUSE, syscall: "bind" }, undefined);
        return;
      }
      const socket = new SocketDouble(this, port, receiveBuffer, onRequests, onTrouble);
      this.#sockets.push(socket);
      opened(undefined, socket);
    });
  };

  /** A table's log comes into being: the `ctr` of the log's type. @throws KernelError the table's load fails */
  ctr(table: KernelTable): Promise<KernelLog> {
    return KernelLog.construct(this, table);
  }

  /** A log that the kernel has been using since before there was this server: no CTR is asked. @param regionSize sectors */
  using(table: KernelTable, regionSize: number): KernelLog {
    return KernelLog.existing(this, table, regionSize);
  }

  /** lc, a kernel address. */
  nextLuid(): bigint {
    return (this.#luid += 0x400n);
  }

  /** The names of what was sent, without the retries' marks: what the server was asked, in order. */
  asked(): RequestName[] {
    return this.exchanges.map(({ request }) => request.body.name);
  }

  /** The next requests reach nobody, as if the server had stopped reading: the kernel asks again after `times.retry`. */
  lose(count: number): void {
    this.#lost += count;
  }

  /** The next requests find the server's receive buffer full. The kernel takes that for having no server. */
  overrun(count: number): void {
    this.#overrun += count;
  }

  /** A datagram that reaches the server as if the kernel had sent it. */
  inject(packet: Uint8Array): void {
    for (const socket of this.#sockets) socket.deliver(Buffer.from(packet));
  }

  /** Something that the server's receive thread tells it of. */
  trouble(trouble: NativeLogTrouble): void {
    for (const socket of this.#sockets) socket.trouble(trouble);
  }

  /** @throws Error the first thing that the server did wrong */
  check(): void {
    if (this.wrong[0]) throw this.wrong[0];
  }

  /** The kernel does nothing any more, and what waits for it waits for ever. Then {@link check}s. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.check();
  }

  /** @internal The server did what would do harm: throws, when strict. */
  refuse(problem: string, exchange?: Exchange): void {
    if (!this.#strict) return;
    const error = new Error(`The kernel would take this wrongly: ${problem}`);
    this.wrong.push(error);
    if (exchange) this.#misunderstood.set(exchange, error);
    throw error;
  }

  /** @internal setTimeout(), until close(). */
  after(ms: number, action: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    if (this.#closed) clearTimeout(timer);
    else this.#timers.add(timer);
    return timer;
  }

  /** @internal Milliseconds. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** @internal dm_consult_userspace(). */
  async consult(request: Outgoing, room: { bytes: number } = { bytes: 0 }): Promise<Consulted> {
    // the older kernel's limit is too high by mistake: sizeof(struct dm_clog_request *)
    const limit = request.flavour === "ulog" ? 512 - 160 - 20 : 512 - 8 - 20;
    if (request.data.length > limit) return { error: -EINVAL, data: Buffer.alloc(0) };
    for (;;) {
      const exchange = this.#register(request);
      const answered = await this.#ask(exchange, room);
      if (answered === undefined) continue; // timed out
      if (answered.error !== -EAGAIN) return answered;
      await this.sleep(0); // the kernel does not sleep
    }
  }

  #register(request: Outgoing): Exchange {
    const seq = this.#seq;
    this.#seq = (seq + 1) >>> 0;
    const packet = packRequest(request, seq);
    const exchange = { request: decodeRequest(packet), packet, stale: 0 };
    this.exchanges.push(exchange);
    this.#bySeq.set(seq, exchange);
    return exchange;
  }

  async #ask(exchange: Exchange, room: { bytes: number }): Promise<Consulted | undefined> {
    const waiting: Waiting = { exchange, room, error: 0, data: Buffer.alloc(0), complete: () => undefined };
    this.#waiting.unshift(waiting);
    const { request } = exchange;
    const sent = this.#broadcast(exchange);
    if (sent !== 0) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      this.messages.push(`Unable to send log request [${request.body.name}] to userspace: ${sent}`);
      return { error: sent, data: waiting.data };
    }
    const completed = await new Promise<boolean>((resolve) => {
      const timer = this.after(this.times.retry, () => {
        resolve(false);
      });
      waiting.complete = () => {
        clearTimeout(timer);
        this.#timers.delete(timer);
        resolve(true);
      };
    });
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    const wrong = this.#misunderstood.get(exchange);
    if (wrong) throw wrong;
    if (completed) return { error: waiting.error, data: waiting.data };
    this.messages.push(`Request timed out: [${request.body.name}/${request.seq}] - retrying`);
    return undefined;
  }

  // cn_netlink_send(): netlink_broadcast() reaches nobody when no socket is there, or takes it.
  #broadcast(exchange: Exchange): number {
    if (this.#sockets.length === 0) return -ESRCH;
    if (this.#overrun > 0) {
      this.#overrun--;
      for (const socket of this.#sockets) socket.overrun();
      return -ESRCH;
    }
    if (this.#lost > 0) {
      this.#lost--;
      return 0;
    }
    for (const socket of this.#sockets) socket.receive(exchange);
    return 0;
  }

  /** @internal What a socket sends: cn_rx_skb() and cn_ulog_callback(). */
  receiveReply(datagram: Buffer, by: "thread" | "server", type: number): void {
    if (!this.privileged) return;
    const reply = unpackReply(datagram, (seq) => this.#bySeq.get(seq)?.request.flavour);
    const exchange = reply && this.#bySeq.get(reply.seq);
    if (!reply || !exchange) {
      this.refuse("a reply to nothing that the kernel has asked, or which it cannot read");
      return;
    }
    const { name } = exchange.request.body;
    const problem = misunderstanding(exchange.request, reply);
    const waiting = this.#waiting.find((entry) => entry.exchange === exchange);
    if (waiting && reply.form !== "incomplete") {
      exchange.reply = reply;
      exchange.by = by;
      this.#fill(waiting, reply);
      waiting.complete(); // and until the waiter runs, another reply takes this one's place
    } else {
      exchange.stale++;
    }
    if (problem !== undefined) this.refuse(`the reply to ${name} ${problem}`, exchange);
    if (type !== requestNumber(name)) this.refuse(`the reply to ${name} was counted as one to type ${type}`);
  }

  // fill_pkg()
  #fill(waiting: Waiting, reply: Reply): void {
    const { room } = waiting;
    if (reply.form === "short") {
      waiting.error = reply.error;
      if (reply.error !== -EAGAIN) room.bytes = 0;
    } else if (reply.dataSize > room.bytes) {
      const { name } = waiting.exchange.request.body;
      this.messages.push(`Insufficient space to receive package [${name}] (${reply.dataSize} vs ${room.bytes})`);
      room.bytes = 0;
      waiting.error = -ENOSPC;
    } else {
      waiting.error = reply.error;
      waiting.data = Buffer.alloc(reply.dataSize, 0xaa); // beyond the skb there may be anything
      reply.data.copy(waiting.data);
      room.bytes = reply.dataSize;
    }
  }

  /** @internal */
  forget(socket: SocketDouble): void {
    const index = this.#sockets.indexOf(socket);
    if (index >= 0) this.#sockets.splice(index, 1);
  }
}
