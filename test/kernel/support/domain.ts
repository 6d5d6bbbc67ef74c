// A dlmfs domain under test, and files of it that other programs than ours hold open.

import assert from "node:assert/strict";

import type { Cluster, NodeProcess } from "../../../lib/lab";

import { command } from "./shell";

// fs/dlm compares the cluster's name with the one that dlmfs does not give
const JOIN = `name=/sys/kernel/config/dlm/cluster/cluster_name; old=$(cat $name 2>/dev/null)
  [ -z "$old" ] || printf '\\0' >$name; mkdir "/dlm/$1"; status=$?; [ -z "$old" ] || echo "$old" >$name; exit $status`;

/** Joins a domain with every node, the first one first. */
export async function joinDomain(cluster: Cluster, name = "d"): Promise<void> {
  for (const node of cluster.nodes) {
    const { code, stderr } = await command(cluster, node, ["sh", "-c", JOIN, "sh", name]);
    assert.deepEqual([code, stderr], [0, ""]);
  }
}

// A shell cannot open a file for reading and create it: that is Perl's part (O_RDONLY|O_CREAT).
const OPEN = {
  EX: ["sh", "-c", 'echo $$; exec 3<>"/dlm/d/$1"; printf "$2" >&3; echo open; read word', "sh"],
  PR: ["perl", "-e", '$| = 1; print "$$\\n"; sysopen(F, "/dlm/d/$ARGV[0]", 64) or die $!; print "open\\n"; <STDIN>'],
} as const;

/** A program on a node that opens a lock's file and keeps it open. */
export class FileHolder {
  readonly process: NodeProcess;
  #text = "";

  /** @param value EX: written as the value block's beginning */
  constructor(cluster: Cluster, node: number, name: string, mode: "PR" | "EX", value = "") {
    this.process = cluster.exec(node, [...OPEN[mode], name, value]);
    this.process.stdout.on("data", (chunk: Buffer) => (this.#text += chunk.toString()));
    this.process.stderr.on("data", (chunk: Buffer) => (this.#text += chunk.toString()));
  }

  get isOpen(): boolean {
    return this.#text.includes("open\n");
  }

  /** Resolves when the file is open. */
  async opened(): Promise<this> {
    await this.#printed(/^open$/m);
    return this;
  }

  async pid(): Promise<number> {
    return Number(await this.#printed(/^\d+$/m));
  }

  /** Closes the file: at once, or as soon as it was opened. */
  async close(): Promise<void> {
    this.process.stdin.end();
    await this.process.exit;
  }

  async #printed(pattern: RegExp): Promise<string> {
    for (;;) {
      const [found] = pattern.exec(this.#text) ?? [];
      if (found !== undefined) return found;
      await new Promise((resolve) => this.process.stdout.once("data", resolve));
    }
  }
}
