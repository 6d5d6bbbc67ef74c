// The keeper: the process that runs one lab. It has a session of its own, so that a caller who is stopped, slow or busy
// does not stop the cluster's network. Started by client/keeper-process.ts with a connection as descriptor 3.

import net from "node:net";

import type { LabPlan } from "../options";
import { labNameOf, LAB_SOCKET_NAME, packageVersion } from "../paths";
import { openParts } from "../qemu/parts";
import { QemuLab } from "../qemu/qemu-lab";
import { Decoder, encode } from "../wire/json-lines";
import { Connection } from "./connection";
import type { FromKeeper, LabFacts, ToKeeper } from "./messages";
import { toWire } from "./wire-error";

const OWNER_FD = 3;

class Keeper {
  readonly #owner = new net.Socket({ fd: OWNER_FD, readable: true, writable: true });
  readonly #stop = new AbortController();
  #lab: QemuLab | undefined;
  #kept = false;
  #booting: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;

  run(): void {
    const gone = (): void => {
      if (!this.#kept) void this.#end();
    };
    this.#owner.on("error", gone);
    this.#owner.once("end", gone);
    this.#owner.once("close", gone);
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void this.#end());
    const decoder = new Decoder<ToKeeper>();
    const onData = (chunk: Buffer): void => {
      const [boot] = decoder.push(chunk);
      if (boot?.t !== "boot") return;
      this.#owner.off("data", onData);
      this.#booting = this.#boot(boot.plan, boot.keep).catch((error: unknown) => {
        this.#tell({ t: "failed", id: null, error: toWire(error) });
        void this.#end();
      });
    };
    this.#owner.on("data", onData);
  }

  async #boot(plan: LabPlan, keep: boolean): Promise<void> {
    const { signal } = this.#stop;
    const progress = (line: string): void => {
      this.#tell({ t: "progress", line });
    };
    const parts = await openParts(plan, signal, progress);
    const { runDir, out } = parts;
    const socket = runDir.file(LAB_SOCKET_NAME);
    const facts: LabFacts = {
      version: packageVersion(),
      name: labNameOf(runDir.path) ?? "",
      socket,
      nodes: Array.from({ length: plan.nodes }, (_, index) => index + 1),
      stack: plan.stack,
      out: out.path,
    };
    const lab = new QemuLab({
      ...parts,
      progress,
      onTunnel: (stream, from) => new Connection(stream, { ...common, from }),
    });
    this.#lab = lab;
    const common = { lab, facts, onDown: async (): Promise<void> => this.#end() };
    // from here on `#end` has something to end
    signal.throwIfAborted();
    const server = net.createServer((stream) => new Connection(stream, common));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socket, resolve);
    });
    const owner = new Connection(this.#owner, common);
    await lab.boot(signal);
    this.#kept = keep;
    owner.send({ t: "ready" });
  }

  #tell(message: FromKeeper): void {
    if (this.#owner.writable) this.#owner.write(encode(message));
  }

  async #end(): Promise<void> {
    this.#ending ??= this.#down();
    await this.#ending;
  }

  async #down(): Promise<void> {
    this.#stop.abort();
    // what prepares an image cleans up after itself
    const limit = new Promise((resolve) => setTimeout(resolve, PREPARATION_END_MS));
    await Promise.race([this.#booting, limit]);
    await this.#lab?.down();
    // answers on their way go first; nothing else may keep us
    setImmediate(() => {
      this.#owner.end();
      setTimeout(() => process.exit(), LAST_WORDS_MS);
    });
  }
}

const LAST_WORDS_MS = 50;
const PREPARATION_END_MS = 5000;

// a warning of Node's must not end a lab whose beginner, and reader, is gone
process.stderr.on("error", () => undefined);
process.chdir("/");
new Keeper().run();
