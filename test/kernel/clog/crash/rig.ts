// A node with a mirror to crash: two legs, a log and a disk for marks, all of the lab, and what is done with them.

import assert from "node:assert/strict";
import path from "node:path";
import readline from "node:readline";

import type { Cluster, NodeProcess } from "../../../../lib/lab";
import { openCluster } from "../../support/cluster";
import { compileC } from "../../support/compile";
import { command } from "../../support/shell";

import type { Mark, Mirror } from "./blocks";
import { BLOCK } from "./blocks";
import { SECTOR } from "./disk-states";

const PROGRAM = path.resolve(__dirname, "../../../../build/test/kernel/clog/crash/blocks");
const SERVER = path.join(__dirname, "server.cjs");
const DIRECTORY = "/run/clusterlock/clogd";

export const LEG_BYTES: number = 8 * 2 ** 20;
export const LOG_BYTES: number = 2 ** 20;
export const LEGS: readonly [number, number] = [0, 1];
export const LOG = 2;
export const MARKER = 3;
export const REGION = 32;
const SIZES = [LEG_BYTES, LEG_BYTES, LOG_BYTES, 2 * 2 ** 20];
const THREADS = 3;
/** What serves the marks and acknowledges: "-" is no file. */
const NOWHERE = "-";

/** Milliseconds between two rounds of clears: some in each run. */
const CLEAR_DELAY = 300;

export type Build = "whole" | "no-leg-flush" | "no-log-flush";

/** What keeps the mirror's log. */
export interface Subject {
  readonly title: string;
  /** The kernel's own, or a build of the server. */
  readonly build: Build | undefined;
  /** The table's words from "mirror" to the log's last. */
  log(device: string): string;
}

export const KERNEL: Subject = {
  title: "the kernel's own disk log",
  build: undefined,
  log: (device) => `disk 2 ${device} ${REGION}`,
};

export function clustered(build: Build, integratedFlush: boolean): Subject {
  const words = (device: string): string[] => [
    "crash",
    ...(integratedFlush ? ["integrated_flush"] : []),
    ...["clustered-disk", device, String(REGION)],
  ];
  return {
    title: `clustered-disk${integratedFlush ? " with integrated_flush" : ""}${build === "whole" ? "" : `, ${build}`}`,
    build,
    log: (device) => `userspace ${words(device).length} ${words(device).join(" ")}`,
  };
}

/** Devices that the mirror is made of. */
export interface Devices {
  readonly legs: readonly [string, string];
  readonly log: string;
}

export const DISKS: Devices = { legs: ["/dev/vda", "/dev/vdb"], log: "/dev/vdc" };
const WRITE_LOGS = ["writes0", "writes1", "writeslog"];
const MARKER_DISK = "/dev/vdd";

export interface WriteOptions {
  readonly blocks: number;
  readonly writes: number;
  readonly seed: number;
  /** Milliseconds of a pause. */
  readonly gap: number;
  /** A file for acknowledgements, besides the marker disk; the node's shell has its say. */
  readonly acks?: string;
}

export class Rig {
  readonly cluster: Cluster;
  readonly #servers: { process: NodeProcess; said: string[] }[] = [];
  readonly #out: string;
  #version = 1;

  private constructor(cluster: Cluster, out: string) {
    this.cluster = cluster;
    this.#out = out;
  }

  /** `log`: a directory of this machine, for results. */
  static async open(options: { record?: string; log: string }): Promise<Rig> {
    compileC(path.join(__dirname, "blocks.c"), PROGRAM, ["-pthread"]);
    return new Rig(await openCluster({ nodes: 1, stack: "none", disks: SIZES, ...options }), options.log);
  }

  async sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await command(this.cluster, 1, ["sh", "-ec", script]);
    assert.equal(code, 0, `${script}\n${stderr}${this.said()}`);
    return stdout;
  }

  /** Legs that differ everywhere, and a log device full of zeroes, or of what is no log. */
  async fill(logLetter: string): Promise<void> {
    const fills = DISKS.legs.map((leg, index) => `${PROGRAM} fill ${leg} ${LEG_BYTES} ${"ab"[index]}`);
    const log =
      logLetter === "\0"
        ? `dd if=/dev/zero of=${DISKS.log} bs=1M count=1 oflag=direct conv=fsync status=none`
        : `${PROGRAM} fill ${DISKS.log} ${LOG_BYTES} ${logLetter}`;
    await this.sh(["modprobe dm-mirror", ...fills, log].join("\n"));
  }

  async mark(mark: Mark): Promise<void> {
    await this.sh(`${PROGRAM} mark ${MARKER_DISK} '${JSON.stringify(mark)}'`);
  }

  mirror(length: number): Mirror {
    return { legs: LEGS, log: LOG, length, regionSize: REGION };
  }

  table(subject: Subject, { legs, log }: Devices, length: number): string {
    return `0 ${length} mirror ${subject.log(log)} 2 ${legs[0]} 0 ${legs[1]} 0 1 handle_errors`;
  }

  async create(subject: Subject, devices: Devices, length: number): Promise<void> {
    await this.sh(`dmsetup create m --table '${this.table(subject, devices, length)}'`);
  }

  async synced(length: number): Promise<void> {
    const regions = Math.ceil(length / REGION);
    await this.sh(
      `i=0; until dmsetup status m | grep -q ' ${regions}/${regions} '; do
         i=$((i + 1)); [ $i -lt 300 ] || { dmsetup status m >&2; exit 1; }
         sleep 0.2
       done`,
    );
  }

  /** Writes to the mirror; ends when it has written, or is told to. */
  write(options: WriteOptions): { process: NodeProcess; ended: Promise<void> } {
    const { blocks, writes, seed, gap, acks = NOWHERE } = options;
    const first = this.#version;
    this.#version += THREADS * writes;
    const words = ["/dev/mapper/m", MARKER_DISK, blocks, THREADS, writes, seed, first, gap, acks];
    const process = this.cluster.exec(1, ["sh", "-c", `exec ${PROGRAM} write ${words.join(" ")}`]);
    let complaint = "";
    process.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    process.stdout.resume();
    const ended = process.exit.then(({ code, lost }) => {
      if (lost === null) assert.equal(code, 0, `the writer: ${complaint}`);
    });
    return { process, ended };
  }

  /** The sectors at which the legs differ, as they are on the disks. */
  async different(length: number): Promise<number[]> {
    const printed = await this.sh(`${PROGRAM} compare ${DISKS.legs.join(" ")} ${length * SECTOR}`);
    return printed.split("\n").filter(Boolean).map(Number);
  }

  /** The version of each block on a leg. */
  async versions(leg: 0 | 1, length: number): Promise<Map<number, number>> {
    const printed = await this.sh(`${PROGRAM} versions ${DISKS.legs[leg]} ${(length * SECTOR) / BLOCK}`);
    const lines = printed.split("\n").filter(Boolean);
    return new Map(lines.map((line) => line.split(" ").map(Number) as [number, number]));
  }

  /** Starts the subject's server, if it has one; resolves when it serves. */
  async serve({ build }: Subject): Promise<void> {
    if (build === undefined) return;
    const program = ["exec", process.execPath, SERVER, DIRECTORY, String(CLEAR_DELAY), build].join(" ");
    const child = this.cluster.exec(1, ["sh", "-c", `mkdir -p ${DIRECTORY}; echo $$ >/run/server.pid; ${program}`]);
    const said: string[] = [];
    child.stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()));
    const ready = new Promise<void>((resolve) => {
      readline.createInterface({ input: child.stdout }).on("line", (line) => {
        said.push(`${line}\n`);
        if (line === "ready") resolve();
      });
    });
    this.#servers.push({ process: child, said });
    const early = child.exit.then((status) => {
      throw new Error(`the server ended: ${JSON.stringify(status)}\n${said.join("")}`);
    });
    early.catch(() => undefined);
    await Promise.race([ready, early]);
  }

  /** Ends the server. What it knew stays, unless `forget`, as at a reboot. */
  async unserve(signal: "TERM" | "KILL", forget: boolean): Promise<void> {
    const server = this.#servers.at(-1);
    if (server !== undefined) {
      await this.sh(`kill -${signal} $(cat /run/server.pid)`);
      await server.process.exit;
      this.#servers.pop();
    }
    if (forget) await this.sh(`rm -rf ${DIRECTORY}`);
  }

  /** What the servers that run have printed. */
  said(): string {
    return this.#servers.map(({ said }) => said.join("")).join("");
  }

  /** The node is off: what ran on it is gone. */
  forgetServers(): void {
    this.#servers.length = 0;
  }

  /** Puts dm-log-writes under the mirror, and returns what to make it of. */
  async logWrites(): Promise<Devices> {
    const sizes = [LEG_BYTES, LEG_BYTES, LOG_BYTES];
    const disks = [...DISKS.legs, DISKS.log];
    const lines = WRITE_LOGS.map(
      (name, index) =>
        `truncate -s 128M /run/${name}; losetup /dev/loop${index} /run/${name}
         dmsetup create ${name} --table '0 ${sizes[index]! / SECTOR} log-writes ${disks[index]} /dev/loop${index}'`,
    );
    await this.sh(["modprobe -a loop dm-log-writes", ...lines].join("\n"));
    const [one, other, log] = WRITE_LOGS.map((name) => `/dev/mapper/${name}`) as [string, string, string];
    return { legs: [one, other], log };
  }

  /** Stops the mirror, and marks all logs of dm-log-writes and the recording; it goes on with `resume`. */
  async point(name: string): Promise<void> {
    const messages = WRITE_LOGS.map((log) => `dmsetup message ${log} 0 mark ${name}`);
    await this.sh(["dmsetup suspend m", ...messages].join("\n"));
    await this.mark({ point: name });
  }

  async resume(table?: string): Promise<void> {
    if (table !== undefined) await this.sh(`dmsetup load m --table '${table}'`);
    await this.sh("dmsetup resume m");
  }

  /** Takes dm-log-writes away, and returns its logs, as files of this machine. */
  async collect(): Promise<string[]> {
    const lines = WRITE_LOGS.map(
      (name, index) =>
        `dmsetup remove --retry ${name}; losetup -d /dev/loop${index}
         cp --sparse=always /run/${name} $CLUSTERLOCK_OUT/${name}; rm /run/${name}`,
    );
    await this.sh(lines.join("\n"));
    return WRITE_LOGS.map((name) => path.join(this.#out, name));
  }

  async remove(): Promise<void> {
    await this.sh("dmsetup remove --retry m");
  }
}
