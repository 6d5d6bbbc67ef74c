import type { DirtyLog, LogContext, LogFactory } from "../../../../lib/clog";
import type { NativeRegions } from "../../../../lib/native";

/** A log that notes what it is asked, and whose methods can be made to wait or fail. */
export class FakeLog implements DirtyLog {
  regionSize = 1024;
  regionCount: number;
  device: string | undefined;
  shared: NativeRegions | undefined;
  readonly calls: string[] = [];
  readonly synced: Set<number> = new Set<number>();
  answers: { syncCount?: number; resyncWork?: number; status?: unknown; recovering?: boolean; hint?: number } = {};
  /** What a method waits for, by name. */
  readonly gates: Map<string, Promise<unknown>> = new Map<string, Promise<unknown>>();

  constructor(readonly context: LogContext) {
    this.regionCount = Math.ceil(context.length / 1024);
  }

  #call(name: string, ...args: unknown[]): void | Promise<void> {
    this.calls.push([name, ...args].join(" "));
    const gate = this.gates.get(name);
    return gate?.then(() => undefined);
  }

  resume(): void | Promise<void> {
    return this.#call("resume");
  }
  presuspend(): void | Promise<void> {
    return this.#call("presuspend");
  }
  postsuspend(): void | Promise<void> {
    return this.#call("postsuspend");
  }
  close(): void | Promise<void> {
    return this.#call("close");
  }
  detach(): void | Promise<void> {
    return this.#call("detach");
  }
  inSync(region: number): boolean {
    return this.synced.has(region);
  }
  isClean(region: number): boolean {
    return this.synced.has(region);
  }
  mark(regions: readonly number[]): void | Promise<void> {
    return this.#call("mark", ...regions);
  }
  clear(regions: readonly number[]): void | Promise<void> {
    return this.#call("clear", ...regions);
  }
  flush(): void | Promise<void> {
    return this.#call("flush");
  }
  resyncWork(): number | undefined | Promise<number | undefined> {
    void this.#call("resyncWork");
    return this.answers.resyncWork;
  }
  setRegionSync(region: number, inSync: boolean): void | Promise<void> {
    if (inSync) this.synced.add(region);
    else this.synced.delete(region);
    return this.#call("setRegionSync", region, inSync);
  }
  syncCount(): number {
    return this.answers.syncCount ?? this.synced.size;
  }
  status(): string {
    return (this.answers.status ?? `1 ${this.context.type}`) as string;
  }
  remoteRecovering(): { recovering: boolean; firstUnsynced: number } {
    return { recovering: this.answers.recovering ?? false, firstUnsynced: this.answers.hint ?? 0 };
  }
}

/** Makes fake logs, and keeps them. */
export class Workshop {
  readonly made: FakeLog[] = [];
  /** Called for each before it is given away; may wait or throw. */
  prepare: (log: FakeLog) => unknown = () => undefined;

  readonly factory: LogFactory = async (context) => {
    const log = new FakeLog(context);
    this.made.push(log);
    await this.prepare(log);
    return log;
  };

  get last(): FakeLog {
    return this.made.at(-1)!;
  }
}
