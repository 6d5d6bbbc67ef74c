import { EventEmitter } from "node:events";
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";

import { ClogError } from "../../errors";
import type { NativeLogPacket, NativeLogSocket, NativeLogTrouble } from "../../native";
import { tell } from "../../tell";
import { coreLog, diskLog } from "../log";
import type { DirtyLog } from "../log/dirty-log";
import { decodeRequest } from "../protocol/decode";
import { encodeAck, encodeAnswer } from "../protocol/encode";
import { wantsData } from "../protocol/layout";
import { type Answer, type LogRequest, type RequestName, requestNumber } from "../protocol/requests";

import { Answers } from "./answers";
import { asError, errnoOf } from "./errno";
import type { LogServerEvents } from "./events";
import { InFlight, type Received } from "./in-flight";
import type { LogInstance } from "./instance";
import { Lifecycle } from "./lifecycle";
import { ListenerWatch } from "./listeners";
import { LIFE, LOOKS, STARTS_IO } from "./occasions";
import { type LogServerOptions, type ServerSettings, checkServerOptions } from "./options";
import { checkNetworkNamespace, checkRights } from "./preconditions";
import { Refusal } from "./refusal";
import { Registry, monotonic } from "./registry";
import { openSocket } from "./socket";
import { type LogServerStatistics, mergeStatistics } from "./statistics";
import { type LogStatus, statusOf } from "./status";

const { EAGAIN, EIO, ESRCH } = constants.errno;

const LOGS = { "clustered-core": coreLog, "clustered-disk": diskLog };

/** The kernel asks again 15 s after it has asked. What is as old as this, in milliseconds, will be asked for again. */
const STALE_MS = 14_000;

/** How long the kernel is to wait before it asks for the same again, in milliseconds: it would ask at once. */
const PACE_MS = 1_000;

/**
 * Answers the kernel's userspace dirty logs: routes what it asks to the {@link DirtyLog} of each table, and sees to it that
 * nothing that the kernel does twice, late or not at all harms a mirror. A machine has one.
 *
 * When it closes, or its process dies, I/O to its mirrors waits until there is another.
 */
export class LogServer extends EventEmitter<LogServerEvents> implements AsyncDisposable {
  readonly #settings: ServerSettings;
  readonly #registry: Registry | undefined;
  readonly #lifecycle: Lifecycle;
  readonly #answers: Answers;
  readonly #inFlight: InFlight<Answer | Refusal>;
  readonly #counts = { retries: 0, coalesced: 0, dropped: 0 };
  /** What has happened before anybody can listen. */
  #early: (() => void)[] | undefined = [];
  #socket: NativeLogSocket | undefined;
  #listeners: ListenerWatch | undefined;
  #closing: Promise<void> | undefined;

  private constructor(settings: ServerSettings, registry: Registry | undefined) {
    super();
    this.#settings = settings;
    this.#registry = registry;
    const say = <Name extends keyof LogServerEvents>(name: Name, ...args: LogServerEvents[Name]): void => {
      this.#say(name, ...args);
    };
    this.#lifecycle = new Lifecycle(settings.logs, registry, {
      log: (event) => {
        say("log", event);
      },
      report: (report) => {
        say("report", report);
      },
      trouble: (trouble) => {
        say("trouble", trouble);
      },
    });
    this.#answers = new Answers((trouble) => {
      say("trouble", trouble);
    });
    this.#inFlight = new InFlight(
      (request) => this.#perform(request),
      (received, result) => {
        this.#reply(received, result);
      },
      (request) => {
        const instance = this.#lifecycle.get(request);
        // what the receive thread marks is not counted, so that it may always be more
        return instance?.log && !instance.log.shared ? instance.marks : {};
      },
    );
  }

  /**
   * Restores the logs that a predecessor was serving, and serves.
   *
   * @throws {TypeError | RangeError} a wrong option
   * @throws {ClogError} EADDRINUSE: the machine has a server. EPERM: the kernel would not take this process's answers.
   * ECONNREFUSED: this is not the initial network namespace. EPROTONOSUPPORT: the kernel has no connector.
   */
  static async listen(options?: LogServerOptions): Promise<LogServer> {
    const settings = checkServerOptions(options, LOGS);
    await checkRights();
    const { directory, port } = settings;
    const server = new LogServer(settings, directory === undefined ? undefined : await Registry.open(directory, port));
    try {
      await server.#start();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  async #start(): Promise<void> {
    const { port, receiveBuffer } = this.#settings;
    await this.#lifecycle.restore();
    this.#socket = await openSocket(
      port,
      receiveBuffer,
      (packets) => {
        for (const packet of packets) this.#receive(packet);
      },
      (trouble) => {
        this.#socketTrouble(trouble);
      },
    );
    await checkNetworkNamespace();
    this.#lifecycle.serve(this.#socket);
    this.#listeners = new ListenerWatch(port, (foreign, owner) => {
      this.#say("trouble", { kind: "foreign-listener", port: foreign, pid: owner?.pid, command: owner?.command });
    });
    void this.#listeners.look();
    // the caller gets the server in a microtask, and listens from then on
    setImmediate(() => {
      const early = this.#early;
      this.#early = undefined;
      for (const happened of early ?? []) tell(happened);
    });
  }

  /** The logs that there are: several of the same uuid while a table is being replaced. */
  logs(): LogStatus[] {
    return this.#lifecycle.all().flatMap((instance) => statusOf(instance) ?? []);
  }

  /** The log that the mirror with this uuid is running on. */
  log(uuid: string): DirtyLog | undefined {
    return this.#lifecycle.active(uuid)?.log;
  }

  statistics(): LogServerStatistics {
    if (!this.#socket) throw new Error("the LogServer has closed");
    return mergeStatistics(this.#socket.stats(), this.#counts);
  }

  /**
   * Stops answering. The mirrors stay as they are, and I/O to them waits for another server; what that has to know stays in
   * the directory. Ends when the logs have let go of their devices, or after five seconds.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#listeners?.end();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      await new Promise<void>((closed) => {
        socket.close(closed);
      });
    }
    await this.#lifecycle.detachAll();
    await this.#registry?.close();
    this.#say("close");
  }

  #say<Name extends keyof LogServerEvents>(name: Name, ...args: LogServerEvents[Name]): void {
    const say = (): void => {
      (this as EventEmitter).emit(name, ...args);
    };
    if (this.#early) this.#early.push(say);
    else tell(say);
  }

  #socketTrouble(trouble: NativeLogTrouble): void {
    if (trouble.kind !== "failed") {
      this.#say("trouble", trouble);
      return;
    }
    const error = new ClogError({ errno: trouble.errno, syscall: "recvmsg" });
    this.#say("trouble", { kind: "failed", error });
    void this.close();
  }

  // ---- requests

  #receive({ packet, since }: NativeLogPacket): void {
    if (!this.#socket) return;
    let request: LogRequest;
    try {
      request = decodeRequest(packet);
    } catch (error) {
      this.#counts.dropped++;
      this.#say("trouble", { kind: "malformed", length: packet.length, reason: (error as Error).message });
      return;
    }
    // Done now, it could come after what the kernel has asked since: a clear after the next mark.
    if (monotonic() - since > STALE_MS) {
      this.#counts.dropped++;
      return;
    }
    const first = this.#inFlight.add({ request, since });
    if (first === undefined) return;
    this.#counts.coalesced++;
    const ms = since - first;
    if (ms < STALE_MS) return;
    this.#counts.retries++;
    const { uuid, luid, body } = request;
    this.#say("trouble", { kind: "retry", uuid, luid, request: body.name, ms });
  }

  #reply({ request, since }: Received, result: Answer | Refusal): void {
    this.#socket?.reply(this.#encode(request, result), requestNumber(request.body.name), since);
  }

  #encode(request: LogRequest, result: Answer | Refusal): Buffer {
    if (result instanceof Refusal) return encodeAck(request, result.errno);
    try {
      return encodeAnswer(request, result);
    } catch (error) {
      const { uuid, luid, body } = request;
      const reason = (error as Error).message;
      this.#say("trouble", { kind: "wrong-answer-prevented", uuid, luid, request: body.name, reason });
      return encodeAck(request, EIO);
    }
  }

  #perform(request: LogRequest): Answer | Refusal | Promise<Answer | Refusal> {
    const { name } = request.body;
    const instance = this.#lifecycle.get(request);
    if (instance?.log && instance.regionSize > 0 && !LIFE.has(name)) {
      if (instance.running && !instance.unsure) return this.#answers.answer(instance, instance.log, request);
    }
    return this.#performLater(request).catch((error: unknown) => this.#refuse(request, error));
  }

  // ---- what takes a while

  async #performLater(request: LogRequest): Promise<Answer | Refusal> {
    const { body } = request;
    switch (body.name) {
      case "CTR": {
        const log = await this.#lifecycle.construct(request, body.words, body.reconnect);
        // the older kernel has opened the device itself
        return { name: body.name, device: request.flavour === "ulog" ? log.device : undefined };
      }
      case "DTR":
        await this.#lifecycle.destroy(request);
        return { name: body.name };
      case "PRESUSPEND":
      case "POSTSUSPEND":
        await this.#suspend(request, body.name);
        return { name: body.name };
      default:
        return this.#answerLater(request);
    }
  }

  async #suspend(request: LogRequest, name: "PRESUSPEND" | "POSTSUSPEND"): Promise<void> {
    const instance = this.#lifecycle.get(request);
    // of a log that is not there, there is nothing to suspend
    if (!instance) return;
    await (name === "PRESUSPEND" ? this.#lifecycle.presuspend(instance) : this.#lifecycle.postsuspend(instance));
  }

  async #answerLater(request: LogRequest): Promise<Answer | Refusal> {
    const { name } = request.body;
    const found = await this.#find(request);
    if (!found) return this.#unknown(request);
    const { instance, log } = found;
    // while it was being made, another has taken its place
    if (instance.gone) return this.#answerLater(request);
    if (name === "RESUME") {
      await this.#lifecycle.resume(instance);
      return { name };
    }
    if (!instance.running) {
      const answer = this.#answers.answerAtRest(request);
      if (answer) return answer;
      if (STARTS_IO.has(name)) await this.#lifecycle.resumeMissed(instance, name);
    }
    if (instance.unsure) await this.#ascertain(instance, log, name);
    return this.#answers.answer(instance, log, request);
  }

  // The kernel's worker marks regions, flushes, and only then asks for anything else. So marks that a predecessor has answered
  // for are those of a flush that comes first; and they may be of any region.
  async #ascertain(instance: LogInstance, log: DirtyLog, name: RequestName): Promise<void> {
    // those of whoever asks for the mirror's status may come between
    if (name === "MARK_REGION" || LOOKS.has(name)) return;
    if (name === "FLUSH") await this.#answers.markAll(instance, log);
    if (instance.unsure) await this.#lifecycle.sure(instance);
  }

  /** The log, when it is made; undefined when it cannot be, of which there was an event. */
  async #find(request: LogRequest): Promise<{ instance: LogInstance; log: DirtyLog } | undefined> {
    try {
      const instance = await this.#lifecycle.find(request, request.body.name);
      const log = await instance?.ready;
      return instance && log && { instance, log };
    } catch {
      return undefined;
    }
  }

  // ESRCH makes the kernel construct the log again, with its arguments, every two seconds. It loses the room for an answer
  // that way, so who waits for one is told to ask again. A table that is being loaded is better refused.
  #unknown({ uuid, luid, body: { name } }: LogRequest): Refusal | Promise<Refusal> {
    this.#say("trouble", { kind: "unknown-log", uuid, luid, request: name });
    return !wantsData(name) || name === "GET_REGION_SIZE" ? new Refusal(ESRCH) : askAgain();
  }

  #refuse({ uuid, luid, body: { name } }: LogRequest, thrown: unknown): Refusal {
    // that a log could not be made was told where it was tried
    if (name !== "CTR")
      this.#say("trouble", { kind: "request-failed", uuid, luid, request: name, error: asError(thrown) });
    return new Refusal(errnoOf(thrown));
  }
}

async function askAgain(): Promise<Refusal> {
  await delay(PACE_MS, undefined, { ref: false });
  return new Refusal(EAGAIN);
}
