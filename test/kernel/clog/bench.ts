// One node with ram disks, the programs of this directory, and mirrors made of them.

import assert from "node:assert/strict";
import { once } from "node:events";
import path from "node:path";
import readline from "node:readline";
import { text } from "node:stream/consumers";

import type { Cluster, LabOptions, NodeProcess } from "../../../lib/lab";
import { openCluster } from "../support/cluster";
import { compileC } from "../support/compile";
import { kernelComplaints } from "../support/kernel-log";

import { type MirrorStatus, type MirrorTable, mirrorLine, parseStatus } from "./mirror";

const BUILD = path.resolve(__dirname, "../../../build/test/kernel/clog");

/** Sectors of each ram disk. */
export const DISK = 32768;

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What the checker knows; checker.c. Milliseconds. */
export interface CheckerState {
  writes: number;
  errors: number;
  longest: number;
  waiting: number;
}

/** A program of one line in, one line of JSON out. */
export class Checker {
  readonly #process: NodeProcess;
  readonly #lines: AsyncIterator<string>;
  /** What it said of the first error. */
  complaint = "";

  constructor(process: NodeProcess) {
    this.#process = process;
    process.stderr.on("data", (chunk: Buffer) => (this.complaint += chunk.toString()));
    this.#lines = readline.createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  }

  async #ask<T>(line: string): Promise<T> {
    this.#process.stdin.write(`${line}\n`);
    const answer = await this.#lines.next();
    assert.ok(!answer.done, `the checker ended: ${this.complaint}`);
    return JSON.parse(answer.value) as T;
  }

  state(): Promise<CheckerState> {
    return this.#ask("state");
  }
  start(): Promise<CheckerState> {
    return this.#ask("start");
  }
  /** Ends when no write is under way. */
  stop(): Promise<CheckerState> {
    return this.#ask("stop");
  }
  /** The device, from the sector on, has every block that was acknowledged. */
  async verify(device: string, sector = 0): Promise<void> {
    const { wrong } = await this.#ask<{ wrong: number[] }>(`verify ${device} ${sector}`);
    assert.deepEqual(wrong, [], `blocks of ${device} are not what was acknowledged`);
  }
  /** Resolves when so many writes more were acknowledged. */
  async progress(writes: number, ms = 60_000): Promise<void> {
    const { writes: before } = await this.state();
    const deadline = Date.now() + ms;
    for (;;) {
      const state = await this.state();
      if (state.writes >= before + writes) return;
      assert.ok(Date.now() < deadline, `no ${writes} writes within ${ms} ms: ${JSON.stringify(state)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  async end(): Promise<void> {
    this.#process.stdin.end();
    assert.notEqual(await endOf(this.#process, 10_000), "late", "a write is under way that does not end");
  }
}

export class Bench {
  readonly cluster: Cluster;
  /** Such as "6.1.0-56-amd64". */
  readonly release: string;
  readonly #checkers: Checker[] = [];
  #seen = 0;

  private constructor(cluster: Cluster, release: string) {
    this.cluster = cluster;
    this.release = release;
  }

  /** Boots; there are eight ram disks of {@link DISK} sectors, /dev/ram0 to /dev/ram7. */
  static async open(options: LabOptions = {}): Promise<Bench> {
    for (const program of ["checker", "blocks", "stranger"]) {
      compileC(path.join(__dirname, `${program}.c`), path.join(BUILD, program), ["-lpthread"]);
    }
    const cluster = await openCluster({ nodes: 1, stack: "none", ...options });
    const bare = new Bench(cluster, "");
    const modules = "modprobe -a dm-mirror dm-log-userspace dm-flakey dm-delay";
    // nobody but the test is to open the mirrors
    const settle = "udevadm control --stop-exec-queue 2>/dev/null || true";
    const release = await bare.sh(
      `modprobe brd rd_nr=8 rd_size=${DISK / 2}; ${modules}; ${settle}; mkdir -p /run/clusterlock; uname -r`,
    );
    return new Bench(cluster, release.trim());
  }

  /** Whether the node's kernel is at least of this version. */
  atLeast(major: number, minor: number): boolean {
    const [has = 0, hasMinor = 0] = this.release.split(".").map(Number);
    return has > major || (has === major && hasMinor >= minor);
  }

  exec(argv: readonly string[]): NodeProcess {
    return this.cluster.exec(1, argv, { env: { DM_DISABLE_UDEV: "1", PATH: `${BUILD}:${process.env["PATH"]}` } });
  }

  /** Runs a script to its end, whatever that is. */
  async run(script: string): Promise<Ended> {
    const child = this.exec(["sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; ${script}`]);
    child.stdin.end();
    const [stdout, stderr, { code }] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
    return { code, stdout, stderr: stderr.replace(/^Udev is running and DM_DISABLE_UDEV.*\n/gm, "") };
  }

  async sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(`set -e; ${script}`);
    assert.equal(code, 0, `${script}\n${stderr}`);
    return stdout;
  }

  async create(name: string, table: MirrorTable): Promise<void> {
    await this.sh(`dmsetup create ${name} --table "${mirrorLine(table)}"`);
  }

  /** Puts another table in place: load, suspend, resume. */
  async reload(name: string, table: MirrorTable): Promise<void> {
    await this.sh(
      `dmsetup load ${name} --table "${mirrorLine(table)}"; dmsetup suspend ${name}; dmsetup resume ${name}`,
    );
  }

  /** A device of dm-linear, dm-flakey and so on, of one line or more; its table is replaced when it is there. */
  async device(name: string, lines: string): Promise<string> {
    await this.sh(`if dmsetup info ${name} >/dev/null 2>&1; then
      echo "${lines}" | dmsetup load ${name}; dmsetup suspend --noflush --nolockfs ${name}; dmsetup resume ${name}
      else echo "${lines}" | dmsetup create ${name}; fi`);
    return `/dev/mapper/${name}`;
  }

  async remove(...names: string[]): Promise<void> {
    for (const name of names) await this.sh(`dmsetup remove --retry ${name}`);
  }

  async status(name: string): Promise<MirrorStatus> {
    return parseStatus(await this.sh(`dmsetup status ${name}`));
  }

  /** Resolves when all regions are in sync; returns the status. */
  async synced(name: string, ms = 60_000): Promise<MirrorStatus> {
    return this.until(name, `${name} in sync`, ({ inSync, regions }) => inSync === regions, ms);
  }

  async until(
    name: string,
    what: string,
    condition: (status: MirrorStatus) => boolean,
    ms = 60_000,
  ): Promise<MirrorStatus> {
    const deadline = Date.now() + ms;
    for (;;) {
      const line = await this.sh(`dmsetup status ${name}`);
      if (condition(parseStatus(line))) return parseStatus(line);
      assert.ok(Date.now() < deadline, `not within ${ms} ms: ${what}; it is ${line}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The regions of two legs that differ. */
  async differ(table: MirrorTable): Promise<number[]> {
    const [a = "", b = ""] = table.legs.map((leg) => (typeof leg === "string" ? `${leg} 0` : leg.join(" ")));
    return JSON.parse(await this.sh(`blocks compare ${a} ${b} ${table.length} ${table.regionSize}`)) as number[];
  }

  /** Fills sectors with a letter; "0" are zeros. */
  async fill(device: string, letter: string, sector = 0, sectors: number = DISK): Promise<void> {
    await this.sh(`blocks write ${device} ${sector} ${sectors} ${letter}`);
  }

  /** The first letter of each 8 sectors. */
  async letters(device: string, sector: number, sectors: number): Promise<string> {
    return JSON.parse(await this.sh(`blocks read ${device} ${sector} ${sectors}`)) as string;
  }

  /** Begins to write to a device at random. */
  checker(
    device: string,
    options: { blocks: number; threads?: number; seed?: number; pause?: number } = { blocks: 512 },
  ): Checker {
    const { blocks, threads = 4, seed = 1, pause = 500 } = options;
    const words = [blocks, threads, seed, pause].map(String);
    const checker = new Checker(this.exec([path.join(BUILD, "checker"), device, ...words]));
    this.#checkers.push(checker);
    return checker;
  }

  /** A program of this directory. */
  program(name: string, ...argv: string[]): NodeProcess {
    return this.exec([path.join(BUILD, name), ...argv]);
  }

  /** Removes every device-mapper device, suspended ones too. Needs a log server when there are mirrors. */
  async clean(): Promise<void> {
    const checkers = this.#checkers.splice(0);
    const stopped = Promise.all(checkers.map((checker) => checker.stop())).catch(() => undefined);
    // writes that the kernel holds end with a suspend and a resume
    const each = "for name in $(dmsetup ls | sed -n 's/^\\([^\\t]*\\)\\t(.*/\\1/p'); do";
    if ((await within(stopped, 3000)) === "late") {
      await this.run(`${each} timeout 20 dmsetup suspend --noflush --nolockfs $name; dmsetup resume $name; done`);
      await within(stopped, 30_000);
    }
    await Promise.all(checkers.map((checker) => checker.end()));
    await this.sh(`for round in 1 2 3; do
      ${each} dmsetup resume $name >/dev/null 2>&1 || true; dmsetup remove $name >/dev/null 2>&1 || true; done; done
      test "$(dmsetup ls)" = "No devices found"`);
  }

  /** What no test may cause. */
  /** A command that may take long, and that nobody reads. */
  background(command: string): NodeProcess {
    const child = this.exec(["sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; exec ${command}`]);
    child.stdin.end();
    child.stdout.resume();
    child.stderr.resume();
    return child;
  }

  /** The kernel's messages since the last call. */
  async kernelLog(): Promise<string> {
    const all = await this.sh("dmesg");
    const lines = all.split("\n");
    const fresh = lines.slice(this.#seen);
    this.#seen = lines.length - 1;
    return fresh.join("\n");
  }

  /** The kernel is to have had nothing to complain of. */
  async end(): Promise<void> {
    try {
      assert.deepEqual(await kernelComplaints(this.cluster, 1), []);
    } finally {
      await this.cluster.down();
    }
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | "late"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, ms, "late");
  });
  return Promise.race([promise, late]).finally(() => {
    clearTimeout(timer);
  });
}

/** The end of a process within a time, or "late". */
export async function endOf(process: NodeProcess, ms: number): Promise<number | null | "late"> {
  return within(
    process.exit.then(({ code }) => code),
    ms,
  );
}

/** The first line that a process prints. */
export async function firstLine(process: NodeProcess): Promise<string> {
  const [line] = (await once(readline.createInterface({ input: process.stdout }), "line")) as [string];
  return line;
}
