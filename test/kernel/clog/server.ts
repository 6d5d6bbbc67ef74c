// Our log server in a process of its own on the node, and what it tells.

import assert from "node:assert/strict";

import type {
  DirtyLog,
  LogContext,
  LogFactory,
  LogServer,
  LogServerOptions,
  LogServerStatistics,
  LogStatus,
} from "../../../lib/clog";
import { type NodeContext, Shell } from "../support/shell";

import type { Bench } from "./bench";

/** An event of the server, as it can travel. */
export interface Told {
  event: "log" | "report" | "trouble" | "close";
  kind: string;
  uuid?: string;
  [detail: string]: unknown;
}

/** A log of the simplest kind, in memory, that a test can bend; {@link bentLog}. */
export interface BentLog extends DirtyLog {
  sync: boolean[];
  /** Of marks and clears, the regions. */
  marked: number[];
  /** Calls, by name. */
  calls: string[];
}

/** What the process keeps. */
export interface ServerNode extends NodeContext {
  server: LogServer;
  told: Told[];
  /** Factories beside or instead of the server's own. */
  logs: Record<string, LogFactory>;
  /** Makes a {@link BentLog}; all are in `bent`. */
  bend(context: LogContext, bend?: Partial<BentLog>): BentLog;
  bent: BentLog[];
}

export class Server {
  readonly shell: Shell;

  private constructor(shell: Shell) {
    this.shell = shell;
  }

  /** @param prepare runs on the node before the server starts, and may put factories into `node.logs` */
  static async start(
    bench: Bench,
    options: Omit<LogServerOptions, "logs"> = {},
    prepare?: (node: NodeContext) => void,
  ): Promise<Server> {
    const shell = new Shell(bench.cluster, 1);
    await shell.call(helpers);
    if (prepare !== undefined) await shell.call(prepare);
    try {
      await shell.call(listen, options);
    } catch (error) {
      await shell.end();
      throw error;
    }
    return new Server(shell);
  }

  told(): Promise<Told[]> {
    return this.shell.call((node) => (node as ServerNode).told);
  }

  async until(what: string, condition: (told: Told) => boolean, ms = 30_000): Promise<Told> {
    const deadline = Date.now() + ms;
    for (;;) {
      const told = await this.told();
      const found = told.find(condition);
      if (found !== undefined) return found;
      assert.ok(Date.now() < deadline, `not told within ${ms} ms: ${what}; told: ${JSON.stringify(told)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  logs(): Promise<(Omit<LogStatus, "luid"> & { luid: string })[]> {
    return this.shell.call((node) =>
      (node as ServerNode).server.logs().map((log) => ({ ...log, luid: String(log.luid) })),
    );
  }

  statistics(): Promise<LogServerStatistics> {
    return this.shell.call((node) => (node as ServerNode).server.statistics());
  }

  /** Resolves when no region is marked, and the log device calls every one clean. */
  async clean(uuid: string, ms = 30_000): Promise<void> {
    const deadline = Date.now() + ms;
    for (;;) {
      const description = (await this.logs()).find((log) => log.uuid === uuid)?.description;
      if (description?.dirty === 0 && description.marked === 0) return;
      assert.ok(Date.now() < deadline, `regions stay dirty: ${JSON.stringify(description)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.shell.process.kill("SIGKILL");
    await this.shell.process.exit;
  }

  /** Closes it, and ends its process. */
  async stop(): Promise<void> {
    await this.shell.call((node) => (node as ServerNode).server.close());
    await this.shell.end();
    assert.deepEqual(this.shell.complaints, []);
  }
}

// runs on the node
function helpers(context: NodeContext): void {
  const node = context as ServerNode;
  node.told = [];
  node.logs = {};
  node.bent = [];
  node.bend = ({ args, length, type }, bend = {}) => {
    const regionSize = Number(args[0]);
    const regionCount = Math.ceil(length / regionSize);
    const log: BentLog = {
      regionSize,
      regionCount,
      sync: new Array<boolean>(regionCount).fill(args[1] === "nosync"),
      marked: [],
      calls: [],
      resume: () => void log.calls.push("resume"),
      presuspend: () => void log.calls.push("presuspend"),
      postsuspend: () => void log.calls.push("postsuspend"),
      close: () => void log.calls.push("close"),
      inSync: (region) => log.sync[region] === true,
      isClean: (region) => log.sync[region] === true && !log.marked.includes(region),
      mark: (regions) => void log.marked.push(...regions),
      clear: () => void log.calls.push("clear"),
      flush: () => void log.calls.push("flush"),
      resyncWork: () => {
        const region = log.sync.indexOf(false);
        return region < 0 ? undefined : region;
      },
      setRegionSync: (region, inSync) => void (log.sync[region] = inSync),
      syncCount: () => log.sync.filter(Boolean).length,
      status: () => `1 ${type}`,
      remoteRecovering: () => {
        const region = log.sync.indexOf(false);
        return { recovering: false, firstUnsynced: region < 0 ? regionCount : region };
      },
      ...bend,
    };
    node.bent.push(log);
    return log;
  };
}

async function listen(context: NodeContext, options: Omit<LogServerOptions, "logs">): Promise<void> {
  const node = context as ServerNode;

  node.server = await node.clog.LogServer.listen({
    ...options,
    ...(Object.keys(node.logs).length > 0 && { logs: node.logs }),
  });
  const plain = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (_, part: unknown) =>
        typeof part === "bigint"
          ? String(part)
          : part instanceof Error
            ? { message: part.message, code: (part as { code?: unknown }).code }
            : part,
      ),
    );
  for (const event of ["log", "report", "trouble", "close"] as const) {
    node.server.on(event, (details?: object) => {
      node.told.push({ event, ...(plain(details ?? { kind: event }) as object) } as Told);
    });
  }
}
