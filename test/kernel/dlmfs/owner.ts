// A program on a node that makes system calls on lock files, driven by the test; owner.c is the other end.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

import type { Cluster, NodeProcess } from "../../../lib/lab";

const BUILT = path.resolve(__dirname, "../../../build/dlmfs-experiments");

/** Builds a program of this directory here; the nodes see it at the path that is returned. */
export function buildProgram(name: "owner" | "storm" | "measure"): string {
  mkdirSync(BUILT, { recursive: true });
  const program = path.join(BUILT, name);
  // another run of the tests may be using the one that is there
  const fresh = `${program}.${process.pid}`;
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread"];
  execFileSync("gcc", [...flags, "-o", fresh, path.join(__dirname, `${name}.c`)], { stdio: "inherit" });
  renameSync(fresh, program);
  return program;
}

/** What a call returned: its value, or the name of its errno, which has no name if it is none of userspace's. */
export interface Returned {
  readonly result: number | string;
  readonly bytes: Buffer;
}

// EAGAIN has a second name, EWOULDBLOCK
const NAMES = new Map(Object.entries(os.constants.errno).map(([name, number]) => [number, name]));
NAMES.set(os.constants.errno.EAGAIN, "EAGAIN");

/** A call that may be asleep in the kernel. */
export class Call {
  readonly returned: Promise<Returned>;
  /** The thread that makes it. */
  readonly tid: Promise<number>;
  #settled = false;

  constructor(tid: Promise<number>, returned: Promise<Returned>) {
    this.tid = tid;
    this.returned = returned;
    void returned.then(
      () => (this.#settled = true),
      () => undefined,
    );
  }

  /** Whether it has returned within the time. */
  async ends(ms: number): Promise<boolean> {
    const deadline = Date.now() + ms;
    while (!this.#settled && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    return this.#settled;
  }

  /** Its value: an fd, a count, or an errno's name. Fails the test when it has not returned within 30 seconds. */
  async value(): Promise<number | string> {
    assert.ok(await this.ends(30_000), "a call on a lock file has not returned within 30 seconds");
    return (await this.returned).result;
  }
}

export class Owner {
  readonly process: NodeProcess;
  readonly #begun = new Map<string, (tid: number) => void>();
  readonly #ended = new Map<string, (returned: Returned) => void>();
  #next = 0;

  constructor(cluster: Cluster, node: number) {
    this.process = cluster.exec(node, [path.join(BUILT, "owner")]);
    this.process.stderr.pipe(process.stderr);
    readline.createInterface({ input: this.process.stdout }).on("line", (line) => {
      const [tag = "", result = "", hex = ""] = line.split(" ");
      if (result.startsWith("@")) {
        this.#begun.get(tag)?.(Number(result.slice(1)));
        return;
      }
      const number = Number(result);
      const named = number < 0 ? (NAMES.get(-number) ?? `errno ${-number}`) : number;
      this.#ended.get(tag)?.({ result: named, bytes: Buffer.from(hex, "hex") });
      this.#ended.delete(tag);
    });
  }

  /** Makes a system call on a thread of its own; its words are in owner.c. */
  call(operation: string, ...words: (string | number)[]): Call {
    const tag = `c${this.#next++}`;
    const tid = new Promise<number>((resolve) => this.#begun.set(tag, resolve));
    const returned = new Promise<Returned>((resolve) => this.#ended.set(tag, resolve));
    this.process.stdin.write(`${[tag, operation, ...words].join(" ")}\n`);
    return new Call(tid, returned);
  }

  /** The same for one that returns at once. */
  async do(operation: string, ...words: (string | number)[]): Promise<number | string> {
    return this.call(operation, ...words).value();
  }

  open(file: string, flags: number): Call {
    return this.call("open", file, flags, 0o600);
  }

  /** Opens what is free, or free soon; returns the descriptor. */
  async opened(file: string, flags: number): Promise<number> {
    const fd = await this.open(file, flags).value();
    assert.ok(typeof fd === "number", `open ${file}: ${fd}`);
    return fd;
  }

  /** The 64 bytes at offset 0, without the zeros at their end; null when the kernel calls them invalid. */
  async value(fd: number): Promise<string | null> {
    const call = this.call("pread", fd, 64, 0);
    const count = await call.value();
    if (count === 0) return null;
    assert.equal(count, 64);
    return (await call.returned).bytes.toString("latin1").replace(/\0+$/, "");
  }

  /** Writes text at offset 0, filled up with zeros. */
  async setValue(fd: number, text: string): Promise<void> {
    assert.equal(await this.do("pwrite", fd, 0, Buffer.from(text.padEnd(64, "\0"), "latin1").toString("hex")), 64);
  }

  /** Lets the program end; one with a thread in the kernel does not. */
  async end(): Promise<void> {
    this.process.stdin.end();
    await this.process.exit;
  }
}
