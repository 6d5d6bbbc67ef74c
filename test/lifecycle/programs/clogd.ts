// node --import tsx clogd.ts DOUBLE OPTIONS: the daemon over a server that has one log and hears no kernel. OPTIONS, in JSON,
// are the daemon's, and `mirrors`: device numbers that are mirrors of ours. Words from the parent: "throw", "lose" (the
// socket), "flood", "slow" (a close that never ends).

import { EventEmitter } from "node:events";
import { createRequire } from "node:module";

import { type DaemonOptions, runDaemon } from "../../../lib/clog/daemon/daemon";
import { REQUEST_NAMES, type RequestName } from "../../../lib/clog/protocol/requests";
import type { LogServerEvents } from "../../../lib/clog/server/events";
import type { RequestStatistics } from "../../../lib/clog/server/statistics";
import { ClogError } from "../../../lib/errors";
import { type NativeAddon, useAddon } from "../../../lib/native";

const [double = "", text = ""] = process.argv.slice(2);
const options = JSON.parse(text) as DaemonOptions & { mirrors?: string[]; refuse?: number };

const mirrors = (options.mirrors ?? []).map((device) => {
  const [major, minor] = device.split(":").map(Number);
  const target = {
    start: 0,
    length: 8192,
    type: "mirror",
    params: "userspace 3 abc clustered-core 1024 2 8:1 0 8:2 0",
  };
  return {
    name: "m",
    uuid: "",
    major: major ?? 0,
    minor: minor ?? 0,
    suspended: false,
    active: [target],
    inactive: [],
  };
});
useAddon({
  ...(createRequire(__filename)(double) as NativeAddon),
  listDmDevices: (callback) => {
    setImmediate(callback, undefined, mirrors);
  },
});

class Server extends EventEmitter<LogServerEvents> {
  slow = false;
  logs() {
    return [
      {
        uuid: "abc",
        luid: 1n,
        flavour: "ulog" as const,
        device: undefined,
        type: "clustered-core",
        args: ["1024"],
        length: 8192,
        state: "active" as const,
        regionSize: 1024,
        regionCount: 8,
        description: { inSync: 4, marked: 0, dirty: 0, health: "A" as const, legs: [], logDevice: undefined },
      },
    ];
  }
  statistics() {
    const none: RequestStatistics = { count: 0, latency: { p50: 0, p99: 0, max: 0, buckets: [] } };
    const requests = Object.fromEntries(REQUEST_NAMES.map((name) => [name, none])) as Record<
      RequestName,
      RequestStatistics
    >;
    return { requests, received: 3, fast: 1, slow: 2, retries: 0, coalesced: 0, dropped: 0, overruns: 0 };
  }
  close(): Promise<void> {
    return this.slow ? new Promise(() => undefined) : Promise.resolve();
  }
}

const server = new Server();
const WORDS: Readonly<Record<string, () => void>> = {
  throw() {
    throw new Error("on purpose");
  },
  lose() {
    server.emit("trouble", { kind: "failed", error: new ClogError({ errno: -9, syscall: "recvmsg" }) });
    server.emit("close");
  },
  flood() {
    for (let i = 0; i < 5_000; i++) {
      const uuid = `${i}-${"x".repeat(100)}`;
      server.emit("log", { action: "created", uuid, luid: 1n, type: "clustered-core" });
    }
  },
  slow() {
    server.slow = true;
  },
};
process.on("message", (word: string) => WORDS[word]?.());
process.channel?.unref();

// without a parent there is no such method, and types do not know
function hangUp(): void {
  if (process.connected) process.disconnect();
}

const { refuse } = options;
const listen = (): Promise<Server> =>
  refuse === undefined
    ? Promise.resolve(server)
    : Promise.reject(new ClogError({ errno: -refuse, syscall: "bind", hint: "as the test wants it" }));
runDaemon(options, { listen }).then(
  () => {
    hangUp();
  },
  (error: unknown) => {
    process.stdout.write(`${JSON.stringify(error)} ${String(error)}\n`);
    process.exitCode = 3;
    hangUp();
  },
);
