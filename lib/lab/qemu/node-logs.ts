// The logs of the nodes: written on this machine as they come, so that a power cut loses nothing of them.

import { copyFile, readFile } from "node:fs/promises";
import path from "node:path";

import type { OutDir } from "./out-dir";
import type { RunDir } from "./run-dir";

const KINDS = ["console", "system"] as const;
type Kind = (typeof KINDS)[number];

export class NodeLogs {
  readonly #nodes: readonly number[];
  readonly #runDir: RunDir;
  readonly #out: OutDir;

  constructor(nodes: readonly number[], runDir: RunDir, out: OutDir) {
    this.#nodes = nodes;
    this.#runDir = runDir;
    this.#out = out;
  }

  /** "console": what the serial console printed; "system": the logs of the kernel, corosync and dlm_controld. */
  file(node: number, kind: Kind): string {
    const name = nameOf(node, kind);
    // in a directory that the user named, they are results too
    return this.#out.fresh ? this.#runDir.file(name) : path.join(this.#out.path, name);
  }

  async console(node: number): Promise<string> {
    return readFile(this.file(node, "console"), "utf8").catch(() => "");
  }

  /** Where the console will be when the lab has ended, if anything goes wrong. */
  kept(node: number): string {
    return path.join(this.#out.path, nameOf(node, "console"));
  }

  /** Makes them stay when the lab ends. */
  async keep(): Promise<void> {
    if (!this.#out.fresh) return;
    for (const node of this.#nodes) {
      for (const kind of KINDS) {
        const name = nameOf(node, kind);
        await copyFile(this.#runDir.file(name), path.join(this.#out.path, name)).catch(() => undefined);
      }
    }
  }
}

function nameOf(node: number, kind: Kind): string {
  return `n${node}.${kind}.log`;
}
