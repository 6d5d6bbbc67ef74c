import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import { decodeAnswer, encodeRequest, type ReadAnswer } from "../../../../lib/clog/protocol/kernel-side";
import type { LogRequest, RequestBody } from "../../../../lib/clog/protocol/requests";
import { monotonic } from "../../../../lib/clog/server/registry";
import { ROOTS } from "../../../../lib/clog/server/roots";
import {
  type NativeAddon,
  type NativeDmDevice,
  type NativeLogPacket,
  type NativeLogStats,
  type NativeLogTrouble,
  type NativeRegions,
  type NativeSystemFailure,
  useAddon,
} from "../../../../lib/native";
import { NO_ADDON } from "../../support/no-addon";

const real = { ...ROOTS };

export const PORT = 0x636c6f67;

/** A machine with a connector, made of plain files and an addon that knows nothing: what a server needs to listen. */
export class FakeMachine {
  readonly root: string = mkdtempSync("/tmp/clt-clog-");
  readonly directory: string = path.join(this.root, "run/clogd");
  /** What the server did with the socket's fast path: "attach UUID LUID", "detach UUID LUID", "close". */
  readonly socket: string[] = [];
  readonly regions: FakeRegions[] = [];
  devices: NativeDmDevice[] | NativeSystemFailure = [];
  openFailure: NativeSystemFailure | undefined;
  /** Another kernel in place of {@link ask} and {@link send}. */
  kernel: { open: NativeAddon["openLogSocket"] } | undefined;
  /** Calls of openLogSocket. */
  opened = 0;
  listed = 0;
  /** Called when the server answers, before the kernel has it. */
  onReply: () => unknown = () => undefined;
  stats: NativeLogStats = {
    ...{ received: 0, fast: 0, slow: 0, replies: 0, dropped: 0, overruns: 0 },
    latency: Array.from({ length: 18 }, () => Array.from({ length: 32 }, () => 0)),
    longest: Array.from({ length: 18 }, () => 0),
  };
  readonly #locked = new Set<string>();
  readonly #waiting = new Map<number, { request: LogRequest; resolve: (answer: ReadAnswer) => void }>();
  #onRequests: ((requests: NativeLogPacket[]) => void) | undefined;
  #onTrouble: ((trouble: NativeLogTrouble) => void) | undefined;
  #seq = 100;

  constructor() {
    ROOTS.proc = path.join(this.root, "proc");
    this.rights({});
    this.put("proc/self/net/connector", "Name\t\tID\ndmlogusr\t7:1\n");
    this.netlink();
    this.put("proc/sys/kernel/random/boot_id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8\n");
    useAddon(this.#addon());
  }

  end(): void {
    Object.assign(ROOTS, real);
    useAddon(undefined);
    rmSync(this.root, { recursive: true, force: true });
  }

  put(file: string, text: string): void {
    const target = path.join(this.root, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, text);
  }

  remove(file: string): void {
    rmSync(path.join(this.root, file), { recursive: true });
  }

  link(file: string, target: string): void {
    const link = path.join(this.root, file);
    mkdirSync(path.dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }

  rights({
    effective = "000001ffffffffff",
    userNamespace = "user:[4026531837]",
  }: {
    effective?: string;
    userNamespace?: string;
  }): void {
    this.put("proc/self/status", `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\nCapBnd:\t0\n`);
    this.link("proc/self/ns/user", userNamespace);
  }

  /** The lines that /proc/net/netlink has besides the kernel's own: as 6.1 prints them. */
  netlink(...sockets: { port: number; groups: number; inode: number; protocol?: number }[]): void {
    const line = (protocol: number, port: number, groups: number, inode: number): string =>
      `00000000deadbeef ${String(protocol).padEnd(3)} ${String(port).padEnd(10)} ` +
      `${groups.toString(16).padStart(8, "0")} 0        0        0     2        0        ${inode}    `;
    this.put(
      "proc/self/net/netlink",
      [
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode",
        line(11, 0, 0, 20),
        ...sockets.map(({ protocol = 11, port, groups, inode }) => line(protocol, port, groups, inode)),
        "",
      ].join("\n"),
    );
  }

  process(pid: number, command: string, inode: number): void {
    this.put(`proc/${pid}/comm`, `${command}\n`);
    this.link(`proc/${pid}/fd/3`, `socket:[${inode}]`);
  }

  /** What is kept for a successor, by file name. */
  kept(): Record<string, unknown>[] {
    return readdirSync(this.directory)
      .filter((name) => name.endsWith(".json"))
      .map((name) => JSON.parse(readFileSync(path.join(this.directory, name), "utf8")) as Record<string, unknown>);
  }

  files(): string[] {
    return readdirSync(this.directory).sort();
  }

  /** What the server's death leaves. */
  kill(): void {
    this.#locked.clear();
    this.#waiting.clear();
  }

  /** The kernel asks. */
  ask(identity: { uuid: string; luid?: bigint; flavour?: "ulog" | "clog" }, body: RequestBody): Promise<ReadAnswer> {
    return this.send([{ identity, body }])[0]!;
  }

  /** Several requests that are received at once. `age`: milliseconds since. */
  send(
    requests: {
      identity: { uuid: string; luid?: bigint; flavour?: "ulog" | "clog" };
      body: RequestBody;
      age?: number;
    }[],
  ): Promise<ReadAnswer>[] {
    const answers: Promise<ReadAnswer>[] = [];
    const packets = requests.map(({ identity, body, age = 0 }) => {
      const { uuid, flavour = "ulog", luid = flavour === "ulog" ? 1n : 0n } = identity;
      const seq = this.#seq++;
      const request: LogRequest = { flavour, uuid, luid, version: flavour === "ulog" ? 3 : 0, seq, body };
      answers.push(new Promise((resolve) => this.#waiting.set(seq, { request, resolve })));
      return { packet: encodeRequest(request), since: monotonic() - age };
    });
    this.#onRequests!(packets);
    return answers;
  }

  deliver(packet: Buffer): void {
    this.#onRequests!([{ packet, since: monotonic() }]);
  }

  trouble(trouble: NativeLogTrouble): void {
    this.#onTrouble!(trouble);
  }

  #addon(): NativeAddon {
    return {
      ...NO_ADDON,
      openLogSocket: (port, receiveBuffer, opened, onRequests, onTrouble) => {
        this.opened++;
        if (this.kernel) {
          this.kernel.open(port, receiveBuffer, opened, onRequests, onTrouble);
          return;
        }
        this.#onRequests = onRequests;
        this.#onTrouble = onTrouble;
        setImmediate(() => {
          if (this.openFailure) opened(this.openFailure, undefined);
          else opened(undefined, this.#logSocket());
        });
      },
      openRegions: (count, durable, file) => {
        const regions = new FakeRegions(count, durable, file);
        this.regions.push(regions);
        return regions as unknown as NativeRegions;
      },
      listDmDevices: (callback) => {
        this.listed++;
        const { devices } = this;
        setImmediate(() => {
          if (Array.isArray(devices)) callback(undefined, devices);
          else callback(devices, undefined);
        });
      },
      // of the machine: a second server in this process does not get it
      lockFile: () => (this.#locked.size > 0 ? -11 : (this.#locked.add("lock"), 0)),
    };
  }

  #logSocket(): ReturnType<() => Parameters<Parameters<NativeAddon["openLogSocket"]>[2]>[1]> {
    return {
      receiveBuffer: 4 << 20,
      reply: (datagram) => {
        this.onReply();
        const seq = Buffer.from(datagram).readUInt32LE(24);
        const { request, resolve } = this.#waiting.get(seq)!;
        resolve(decodeAnswer(datagram, request));
        return 0;
      },
      attach: (uuid, luid, seed) => this.socket.push(`attach ${uuid} ${luid}${seed ? " seed" : ""}`),
      detach: (uuid, luid) => this.socket.push(`detach ${uuid} ${luid}`),
      stats: () => this.stats,
      setRef: () => undefined,
      close: (closed) => {
        this.socket.push("close");
        if (closed) setImmediate(closed);
      },
    };
  }
}

/** Bits that outlive the server as long as the file does. */
export class FakeRegions {
  readonly restored: boolean;
  closed = false;

  constructor(
    readonly count: number,
    readonly durable: boolean,
    readonly file: string | undefined,
  ) {
    let was: string | undefined;
    try {
      was = file && readFileSync(file, "utf8");
    } catch {
      was = undefined;
    }
    this.restored = was === String(count);
    if (file) writeFileSync(file, String(count));
  }

  close(): void {
    this.closed = true;
  }
}

/** A device of device-mapper with tables of "userspace ..." logs. */
export function device(
  name: string,
  { active, inactive }: { active?: string; inactive?: string },
  length = 8192,
): NativeDmDevice {
  const table = (log: string | undefined): NativeDmDevice["active"] =>
    log === undefined ? [] : [{ start: 0, length, type: "mirror", params: `${log} 2 1:0 0 1:1 0 1 handle_errors` }];
  return { name, uuid: "", major: 254, minor: 3, suspended: false, active: table(active), inactive: table(inactive) };
}
