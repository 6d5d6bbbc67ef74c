// The daemon: from its checks, through its service, to a clean end. It leaves the mirrors as they are: a successor finds in
// the directory what it knew, and the kernel asks until there is one.

import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { coreLog } from "../log/core-log";
import type { LogFactory } from "../log/dirty-log";
import { DiskLog } from "../log/disk-log";
import type { LogEvent, LogServerEvents, LogTrouble } from "../server/events";
import { connectorSockets } from "../server/listeners";
import { LogServer } from "../server/log-server";
import type { LogServerOptions } from "../server/options";
import { DaemonError, explained } from "./errors";
import { describeLog, describeReport, describeTrouble, isPassing, type Line, listenerName } from "./events";
import { Journal } from "./journal";
import { Limiter } from "./limiter";
import { ServiceManager } from "./notify";
import { Pidfile } from "./pidfile";
import { dangers, listMirrors, type Place, placeOf, placeOfStream, swapPlaces } from "./places";
import { oomScoreAdj, startTicks } from "./process-facts";
import { becomeIoFlusher, protect, type ProtectionOptions } from "./protection";
import { type DaemonStatus, latencies, logStatus, summary } from "./status";
import { StatusSocket } from "./status-socket";

export const DEFAULT_DIRECTORY = "/run/clusterlock/clogd";

/** nl_pid: "clog". One socket of the machine can have it, and so there is one daemon. */
const PORT = 0x636c6f67;

/** Exit status after an error that nobody expected. */
const INTERNAL = 70;
const REFRESH_MS = 10_000;
const LAST_WORDS_MS = 200;

export interface DaemonOptions extends ProtectionOptions {
  /** Where logs are kept for a successor, and where the status is asked for. */
  readonly directory?: string | undefined;
  readonly pidfile?: string | undefined;
  /** Also says what happens often, and is all right. */
  readonly verbose?: boolean | undefined;
  /** Of logs on a device, milliseconds; see DiskLogOptions. */
  readonly clearDelay?: number | undefined;
}

/** What the daemon needs of a LogServer. */
export interface DaemonServer extends Pick<LogServer, "logs" | "statistics" | "close"> {
  on<E extends keyof LogServerEvents>(event: E, listener: (...args: LogServerEvents[E]) => void): unknown;
}

export interface DaemonParts {
  readonly listen: (options: LogServerOptions) => Promise<DaemonServer>;
  readonly journal: Journal;
}

/**
 * Serves until SIGTERM or SIGINT, and takes the process over for that: signals, umask, working directory, NOTIFY_SOCKET. A
 * second signal ends it at once.
 *
 * @throws DaemonError when it cannot start.
 */
export async function runDaemon(options: DaemonOptions, parts: Partial<DaemonParts> = {}): Promise<void> {
  const journal = parts.journal ?? new Journal();
  try {
    if (options.ioFlusher === true) becomeIoFlusher(process.env);
    const daemon = new Daemon(options, journal);
    await daemon.start(parts.listen ?? ((of) => LogServer.listen(of)));
    await daemon.ended;
  } catch (error) {
    throw explained(error);
  } finally {
    journal.close();
  }
}

class Daemon {
  /** Settles after stop(), or when the server ended by itself. */
  readonly ended: Promise<void>;
  readonly #options: DaemonOptions;
  readonly #directory: string;
  readonly #pidfile: string | undefined;
  readonly #journal: Journal;
  readonly #limiter = new Limiter();
  readonly #manager = ServiceManager.from(process.env);
  readonly #startTicks = startTicks("self") ?? "";
  readonly #version = version();
  readonly #troubles = new Map<string, number>();
  readonly #listenerNames = new Map<number, string>();
  readonly #undo: (() => void)[] = [];
  #places: readonly Place[] = [];
  #dangers: readonly string[] = [];
  #checking = false;
  #began = performance.now();
  #server: DaemonServer | undefined;
  #failure: Error | undefined;
  #stopping = false;
  #resolve!: () => void;
  #reject!: (reason: unknown) => void;

  constructor(options: DaemonOptions, journal: Journal) {
    this.#options = options;
    // before the working directory changes
    this.#directory = path.resolve(options.directory ?? DEFAULT_DIRECTORY);
    this.#pidfile = options.pidfile === undefined ? undefined : path.resolve(options.pidfile);
    this.#journal = journal;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // start() may fail, and then nobody waits for the end
    this.ended.catch(() => undefined);
  }

  async start(listen: DaemonParts["listen"]): Promise<void> {
    process.umask(0o077);
    try {
      await this.#stayOff();
      process.chdir("/");
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      if (this.#pidfile !== undefined) {
        const pidfile = Pidfile.take(this.#pidfile);
        this.#undo.push(() => {
          pidfile.remove();
        });
      }
      protect(this.#options);
      this.#handleSignals();
      await this.#serve(listen);
    } catch (error) {
      await this.#server?.close();
      this.#cleanUp();
      throw error;
    }
  }

  /** Refuses to be on a mirror that it serves. */
  async #stayOff(): Promise<void> {
    const pidfile = this.#pidfile;
    this.#places = [
      placeOfStream("standard output", 1),
      placeOfStream("standard error", 2),
      placeOf(`the directory ${this.#directory}`, this.#directory),
      pidfile === undefined ? undefined : placeOf(`the pidfile ${pidfile}`, pidfile),
      placeOf("the root directory", "/"),
      // a successor could not be read while the mirror waits for it
      placeOf(`Node (${process.execPath})`, process.execPath),
      placeOf(`this program (${__dirname})`, __dirname),
      // also with locked memory: V8's own cannot be
      ...swapPlaces(),
    ].filter((place) => place !== undefined);
    await this.#check();
    if (this.#dangers.length === 0) return;
    const message = `it would wait for itself: ${this.#dangers.join("; ")}. Put it elsewhere`;
    throw new DaemonError("ERR_CLOGD_REFUSED", message);
  }

  async #check(): Promise<void> {
    const found = dangers(this.#places, await listMirrors());
    this.#dangers = found.map(({ what, mirror }) => `${what} is on the mirror ${mirror}, whose log it serves`);
  }

  async #serve(listen: DaemonParts["listen"]): Promise<void> {
    const { clearDelay } = this.#options;
    const logs: Record<string, LogFactory> = {
      "clustered-core": coreLog,
      "clustered-disk": (context) => DiskLog.create(context, { clearDelay }),
    };
    const server = await listen({ directory: this.#directory, port: PORT, logs });
    this.#server = server;
    this.#began = performance.now();
    server.on("log", (event) => {
      this.#onLog(event);
    });
    server.on("report", (report) => {
      this.#say(`report ${report.kind} ${report.uuid}`, describeReport(report));
      this.#refresh();
    });
    server.on("trouble", (trouble) => {
      this.#onTrouble(trouble);
    });
    server.on("close", () => {
      this.#onClose();
    });
    if (this.#stopping) {
      await this.#finish();
      return;
    }
    const socket = await StatusSocket.listen(this.#directory, () => this.#status());
    this.#undo.push(() => {
      socket[Symbol.dispose]();
    });
    const timer = setInterval(() => {
      this.#refresh();
    }, REFRESH_MS);
    this.#undo.push(() => {
      clearInterval(timer);
    });
    this.#manager.ready(this.#summary());
    this.#say("start", { priority: "notice", text: `serving, ${this.#summary()}` });
  }

  #handleSignals(): void {
    const stop = (signal: string): void => {
      // not exit(): that waits for threads, which may be waiting for a device
      if (this.#stopping) process.kill(process.pid, "SIGKILL");
      this.#stopping = true;
      this.#manager.stopping();
      const left = this.#server?.logs().length ?? 0;
      const stay = left === 0 ? "" : `; logs that stay: ${left}. Writes to their mirrors wait for the next daemon`;
      this.#say("stop", { priority: "notice", text: `${signal}: stopping${stay}` });
      // while it still starts, start() looks
      if (this.#server !== undefined) void this.#finish();
    };
    // a terminal that goes away must not stop the writes of this machine
    const ignore = (): void => undefined;
    const handlers = { SIGTERM: stop, SIGINT: stop, SIGHUP: ignore };
    for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
    const fail = (error: unknown): void => {
      this.#fail(error);
    };
    process.on("uncaughtException", fail);
    this.#undo.push(() => {
      for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
      process.off("uncaughtException", fail);
    });
  }

  async #finish(): Promise<void> {
    try {
      await this.#server?.close();
      this.#cleanUp();
      this.#resolve();
    } catch (error) {
      this.#cleanUp();
      this.#reject(error);
    }
  }

  /** Leaves everything as it is, for a successor to restore from. */
  #fail(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#journal.say("warning", `ends, as nobody expected this: ${text}`);
    this.#journal.whenIdle(LAST_WORDS_MS, () => {
      process.exit(INTERNAL);
    });
  }

  #onTrouble(trouble: LogTrouble): void {
    this.#troubles.set(trouble.kind, (this.#troubles.get(trouble.kind) ?? 0) + 1);
    if (trouble.kind === "foreign-listener") this.#listenerNames.set(trouble.port, listenerName(trouble));
    if (trouble.kind === "failed") this.#failure = trouble.error;
    if (isPassing(trouble) && this.#options.verbose !== true) return;
    this.#say(`trouble ${trouble.kind}`, describeTrouble(trouble));
  }

  /** The server ends by itself when it has lost its socket. */
  #onClose(): void {
    if (this.#stopping) return;
    this.#cleanUp();
    const why = this.#failure === undefined ? "" : `: ${this.#failure.message}`;
    this.#reject(new DaemonError("ERR_CLOGD_SYSTEM", `the connector's socket has failed${why}`));
  }

  #onLog(event: LogEvent): void {
    const log = this.#server?.logs().find(({ uuid, luid }) => uuid === event.uuid && luid === event.luid);
    this.#say(`log ${event.action} ${event.uuid}`, describeLog(event, log?.device?.name));
    this.#refresh();
    if (event.action !== "created" && event.action !== "removed") void this.#recheck();
  }

  /** A mirror may be made of what the daemon stands on: too late to refuse, but not to say so. */
  async #recheck(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    const before = this.#dangers;
    try {
      await this.#check();
      for (const text of this.#dangers) {
        if (!before.includes(text))
          this.#say("danger", { priority: "warning", text: `it may wait for itself: ${text}` });
      }
    } catch (error) {
      this.#say("danger", { priority: "warning", text: `cannot see what it stands on: ${String(error)}` });
    } finally {
      this.#checking = false;
    }
  }

  #say(kind: string, { priority, text }: Line): void {
    const { say, unsaid } = this.#limiter.admit(kind);
    if (!say) return;
    this.#journal.say(priority, unsaid === 0 ? text : `${text} (and ${unsaid} more like the last ones)`);
  }

  #refresh(): void {
    this.#manager.status(this.#summary());
  }

  #summary(): string {
    return summary((this.#server?.logs() ?? []).map(logStatus));
  }

  async #status(): Promise<DaemonStatus> {
    // a server that has closed has none
    const statistics = this.#stopping ? undefined : this.#server?.statistics();
    const { received, fast, slow, retries, coalesced, dropped, overruns } = statistics ?? NOTHING;
    return {
      pid: process.pid,
      startTicks: this.#startTicks,
      version: this.#version,
      uptime: Math.floor((performance.now() - this.#began) / 1_000),
      directory: this.#directory,
      state: this.#stopping ? "stopping" : "serving",
      protection: {
        lockMemory: this.#options.lockMemory === true,
        ioFlusher: this.#options.ioFlusher === true,
        oomScoreAdj: oomScoreAdj(),
      },
      warnings: [...this.#dangers, ...(await this.#listeners())],
      counts: { received, fast, slow, retries, coalesced, dropped, overruns },
      troubles: Object.fromEntries(this.#troubles),
      linesDropped: this.#journal.dropped,
      requests: statistics === undefined ? {} : latencies(statistics),
      logs: (this.#server?.logs() ?? []).map(logStatus),
    };
  }

  /** Who else hears the kernel's requests now. */
  async #listeners(): Promise<string[]> {
    const sockets = await connectorSockets().catch(() => []);
    return sockets
      .filter(({ port, listens }) => listens && port !== 0 && port !== PORT)
      .map(
        ({ port }) => `another socket hears the kernel's requests: port ${port}${this.#listenerNames.get(port) ?? ""}`,
      );
  }

  #cleanUp(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}

const NOTHING = { received: 0, fast: 0, slow: 0, retries: 0, coalesced: 0, dropped: 0, overruns: 0 };

function version(): string {
  const text = readFileSync(path.join(__dirname, "..", "..", "..", "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
