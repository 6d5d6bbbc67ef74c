// One QEMU process: a node's hardware, from power on to power off.

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";

import type { Loss } from "../cluster";
import type { MachineSpec } from "./args";
import { QEMU, qemuArgs } from "./args";
import { ConsoleWatch } from "./console-watch";

export interface MachineEnd {
  readonly how: Loss;
  /** For a person to read: who asked for it, or what QEMU had to say. */
  readonly reason: string;
}

export class Machine {
  readonly node: number;
  /** Settles when the QEMU process has ended; never rejects. */
  readonly ended: Promise<MachineEnd>;
  readonly console: ConsoleWatch;
  readonly #child: ChildProcess;
  #cut: MachineEnd | undefined;

  /** Starts the node. `onStep` is told what its start-up scripts print as "step: ...". */
  constructor(spec: MachineSpec, onStep: (step: string) => void) {
    this.node = spec.node;
    // setpriv: QEMU dies with this process, however that dies. detached: a terminal's ^C is not for it.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", QEMU, ...qemuArgs(spec)], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    this.console = new ConsoleWatch(child.stdout, onStep);
    // not by QEMU, whose own log of a console has a character twice now and then
    const log = createWriteStream(spec.consoleLog, { flags: "a" });
    log.on("error", () => undefined);
    child.stdout.pipe(log);
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2000);
    });
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => {
        resolve({ how: "died", reason: `cannot run setpriv: ${error.message}` });
      });
      child.once("close", (code, signal) => {
        const end = signal === null ? `QEMU ended with ${code ?? "?"}` : `QEMU was ended by ${signal}`;
        const why = complaint.trim();
        resolve(this.#cut ?? this.#ownEnd(why === "" ? end : `${end}: ${why}`));
      });
    });
  }

  /** The first reason given counts. */
  cutPower(how: Loss, reason: string): void {
    this.#cut ??= { how, reason };
    this.#child.kill("SIGKILL");
  }

  /** The processors stop; the clocks that they read go on. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  #ownEnd(reason: string): MachineEnd {
    const { selfFencing, trouble } = this.console;
    if (selfFencing !== undefined) return { how: "fenced", reason: `itself: ${selfFencing}` };
    return { how: "died", reason: trouble ?? reason };
  }
}
