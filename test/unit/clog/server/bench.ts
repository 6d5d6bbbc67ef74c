import assert from "node:assert/strict";

import {
  type LogEvent,
  type LogIdentity,
  type LogReport,
  LogServer,
  type LogServerOptions,
  type LogTrouble,
} from "../../../../lib/clog";
import type { ReadAnswer } from "../../../../lib/clog/protocol/kernel-side";
import type { RequestBody } from "../../../../lib/clog/protocol/requests";

import { Workshop } from "./fake-log";
import { FakeMachine } from "./fake-machine";

/** Names of requests that have nothing more to say. */
type Bare = Exclude<
  RequestBody["name"],
  "CTR" | "IN_SYNC" | "IS_CLEAN" | "IS_REMOTE_RECOVERING" | "MARK_REGION" | "CLEAR_REGION" | "FLUSH" | "SET_REGION_SYNC"
>;

export const WORDS: readonly string[] = ["8192", "fake", "1024"];

/** A server with fake logs on a fake machine, and what it tells. */
export class Bench {
  readonly machine: FakeMachine = new FakeMachine();
  readonly workshop: Workshop = new Workshop();
  server: LogServer | undefined;
  steps: string[] = [];
  readonly troubles: LogTrouble[] = [];
  readonly reports: (LogReport & LogIdentity)[] = [];

  async listen(options?: LogServerOptions): Promise<LogServer> {
    const logs = { fake: this.workshop.factory };
    const server = await LogServer.listen({ logs, directory: this.machine.directory, ...options });
    this.server = server;
    server.on("log", ({ action, uuid, luid }: LogEvent) => this.steps.push(`${action} ${uuid} ${luid}`));
    server.on("trouble", (trouble) => this.troubles.push(trouble));
    server.on("report", (report) => this.reports.push(report));
    return server;
  }

  /** SIGKILL, and another server in its place. */
  async restart(options?: LogServerOptions): Promise<LogServer> {
    const dead = this.server;
    dead?.removeAllListeners();
    this.machine.kill();
    this.steps = [];
    return this.listen(options);
  }

  async end(): Promise<void> {
    await this.server?.close();
    this.machine.end();
  }

  kinds(): string[] {
    return this.troubles.map(({ kind }) => kind);
  }

  ask(luid: bigint, body: RequestBody | Bare): Promise<ReadAnswer> {
    return this.machine.ask({ uuid: "m", luid }, typeof body === "string" ? { name: body } : body);
  }

  /** Asks, and finds the request done. */
  async done(luid: bigint, ...bodies: (RequestBody | Bare)[]): Promise<void> {
    for (const body of bodies) assert.equal((await this.ask(luid, body)).error, 0);
  }

  construct(luid: bigint, words: readonly string[] = WORDS, reconnect = false): Promise<ReadAnswer> {
    return this.ask(luid, { name: "CTR", words, reconnect });
  }

  /** A mirror that runs. */
  async mirror(luid = 1n): Promise<void> {
    assert.equal((await this.construct(luid)).error, 0);
    await this.done(luid, "GET_REGION_SIZE", "RESUME");
  }

  async inSync(luid: bigint, region: bigint): Promise<boolean> {
    const { answer } = await this.ask(luid, { name: "IN_SYNC", region });
    assert.equal(answer?.name, "IN_SYNC");
    return answer.yes;
  }
}

/** Everything that is under way and waits for no timer. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export function gate(): { opened: Promise<void>; open: () => void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** Whether it has ended, when everything that needs no timer has. */
export async function pending(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  void promise.finally(() => (over = true)).catch(() => undefined);
  await settled();
  await new Promise((resolve) => setTimeout(resolve, 30));
  return !over;
}
