// The QEMU driver of the cluster door.

import { setMaxListeners } from "node:events";
import { mkdir, mkdtemp, realpath, rmdir } from "node:fs/promises";
import path from "node:path";

import type { Cluster, ExecOptions, NodeProcess, Stack } from "../cluster";
import { LabError, messageOf } from "../errors";
import { openImage } from "../image/image";
import { nodeEnv } from "../node-env";
import type { ResolvedOptions } from "../options";
import { packageRoot, tempRoot } from "../paths";
import { chooseAccel } from "./accel";
import type { MachineSpec } from "./args";
import { ipAddress } from "./args";
import { AGENT, checkHost } from "./host";
import type { MachineEnd } from "./machine";
import { QemuNode } from "./qemu-node";
import { RunDir } from "./run-dir";
import { Switch } from "./switch";

type Hardware = Pick<MachineSpec, "accel" | "kernel" | "initramfs" | "layer"> & { readonly modules: string };

/** Boots a cluster and returns it when its stack is up on every node. */
export async function startQemuCluster(options: ResolvedOptions): Promise<Cluster> {
  const { signal, progress } = options;
  await checkHost(options, signal);
  const image = await openImage(signal, progress);
  const accel = await chooseAccel(image.kernel, signal, progress);
  const out = await openOut(options.log);
  const runDir = await RunDir.create(out.fresh ? out.path : undefined);
  const cluster = new QemuCluster(options, { accel, ...image }, out, runDir);
  try {
    await cluster.boot();
  } catch (error) {
    if (!signal.aborted) cluster.explain(error);
    await cluster.down();
    throw error;
  }
  return cluster;
}

interface Out {
  readonly path: string;
  readonly fresh: boolean;
}

async function openOut(log: string | undefined): Promise<Out> {
  try {
    if (log === undefined) return { path: await mkdtemp(path.join(tempRoot(), "clusterlock-out-")), fresh: true };
    await mkdir(log, { recursive: true });
    return { path: await realpath(log), fresh: false };
  } catch (error) {
    throw new LabError(`cannot make the directory for results: ${messageOf(error)}`);
  }
}

class QemuCluster implements Cluster {
  readonly nodes: readonly number[];
  readonly stack: Stack;
  readonly #options: ResolvedOptions;
  readonly #hardware: Hardware;
  readonly #out: Out;
  readonly #runDir: RunDir;
  readonly #network = new Switch();
  readonly #nodes = new Map<number, QemuNode>();
  readonly #began = performance.now();
  readonly #onAbort = (): void => void this.down();
  readonly #shown = new Set<number>();
  #ending: Promise<void> | undefined;

  constructor(options: ResolvedOptions, hardware: Hardware, out: Out, runDir: RunDir) {
    this.#options = options;
    this.#hardware = hardware;
    this.#out = out;
    this.#runDir = runDir;
    this.stack = options.stack;
    this.nodes = Array.from({ length: options.nodes }, (_, index) => index + 1);
  }

  async boot(): Promise<void> {
    const { signal, progress, nodes, stack } = this.#options;
    signal.throwIfAborted();
    signal.addEventListener("abort", this.#onAbort, { once: true });
    progress(`booting ${nodes} node${nodes === 1 ? "" : "s"} by ${this.#hardware.accel}, stack ${stack}`);
    if (this.#out.fresh) progress(`CLUSTERLOCK_OUT is ${this.#out.path}`);
    const failure = new AbortController();
    const either = AbortSignal.any([signal, failure.signal]);
    // every node waits for several things at once
    setMaxListeners(0, either);
    const onAll = async (what: (node: number) => Promise<void>): Promise<void> => {
      await Promise.all(
        this.nodes.map(async (node) => {
          await what(node).catch((error: unknown) => {
            failure.abort(error);
            throw error;
          });
        }),
      );
    };
    await onAll(async (node) => {
      await this.#bootNode(node, either);
    });
    await onAll(async (node) => {
      await this.#node(node).setClock(this.#patience, either);
    });
  }

  env(node: number): Readonly<Record<string, string>> {
    this.#node(node);
    return nodeEnv({ node, nodes: this.nodes.length, stack: this.stack, out: this.#out.path }, process.env);
  }

  exec(node: number, argv: readonly string[], options: ExecOptions = {}): NodeProcess {
    const env = { ...this.env(node), ...options.env };
    return this.#node(node).channel.exec({ argv, cwd: options.cwd ?? process.cwd(), env });
  }

  async kill(node: number): Promise<void> {
    await this.#node(node).cutPower();
  }

  async down(): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  /** Shows why the cluster did not come up. */
  explain(error: unknown): void {
    const node = /\bn(\d)\b/.exec(messageOf(error))?.[1];
    if (node !== undefined) this.#showConsole(Number(node));
  }

  async #bootNode(number: number, signal: AbortSignal): Promise<void> {
    const node = new QemuNode(number, (step) => {
      const seconds = (performance.now() - this.#began) / 1000;
      this.#options.progress(`n${number} ${seconds.toFixed(1)} s: ${step}`);
    });
    this.#nodes.set(number, node);
    const { ended } = await node.start(this.#machine(number), this.#network, signal);
    void ended.then((end) => {
      this.#ended(node, end);
    });
    const setup = {
      CLUSTERLOCK_ADDRESSES: this.nodes.map(ipAddress).join(" "),
      CLUSTERLOCK_INTERFACE: "eth0",
      CLUSTERLOCK_FENCING: this.#options.fencing,
      CLUSTERLOCK_PATIENCE: String(this.#patience),
    };
    await node.boot({ stack: this.stack, env: { ...this.env(number), ...setup }, patience: this.#patience }, signal);
  }

  /** Seconds that one step may take: many nodes share few processors. */
  get #patience(): number {
    return 60 + 30 * this.nodes.length;
  }

  #machine(node: number): MachineSpec {
    const { cpus, memory } = this.#options;
    const { modules, ...hardware } = this.#hardware;
    return {
      ...hardware,
      node,
      cpus,
      memory,
      out: this.#out.path,
      consoleLog: this.#consoleLog(node),
      controlSocket: this.#runDir.file(`n${node}.control`),
      networkSocket: this.#runDir.file(`n${node}.net`),
      parameters: {
        LAB_NODE: String(node),
        LAB_OUT: this.#out.path,
        LAB_MODULES: modules,
        LAB_SCRIPTS: path.join(packageRoot, "scripts"),
        LAB_NODE_BINARY: process.execPath,
        LAB_AGENT: AGENT,
      },
    };
  }

  #ended(node: QemuNode, end: MachineEnd): void {
    node.channel.lose(end.asked ? "killed" : "died");
    node.close();
    if (end.asked || this.#ending !== undefined) return;
    this.#options.progress(`n${node.number} died (${end.reason})`);
    this.#showConsole(node.number);
  }

  #showConsole(number: number): void {
    if (this.#shown.has(number)) return;
    this.#shown.add(number);
    const lines = this.#nodes.get(number)?.console ?? [];
    this.#options.progress(`last lines of n${number}'s console, all in ${this.#consoleLog(number)}:`);
    for (const line of lines) this.#options.progress(`  ${line}`);
  }

  // with --log the consoles are results too
  #consoleLog(node: number): string {
    const name = `n${node}.console.log`;
    return this.#out.fresh ? this.#runDir.file(name) : path.join(this.#out.path, name);
  }

  #node(number: number): QemuNode {
    const node = this.#nodes.get(number);
    if (node === undefined) throw new LabError(`there is no node ${number} in this cluster`);
    return node;
  }

  async #end(): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    await Promise.all([...this.#nodes.values()].map((node) => node.cutPower()));
    for (const node of this.#nodes.values()) node.close();
    this.#network.close();
    await (this.#shown.size > 0 && this.#out.fresh ? this.#runDir.keep() : this.#runDir.remove());
    // a fresh directory that nobody used; one with results stays
    if (this.#out.fresh) await rmdir(this.#out.path).catch(() => undefined);
  }
}
