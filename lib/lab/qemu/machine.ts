// One QEMU process: a node's hardware.

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";

import { LineSplitter } from "../lines";
import type { MachineSpec } from "./args";
import { QEMU, qemuArgs } from "./args";

/** Enough for a panic from its first line. */
const TAIL = 40;

export interface MachineEnd {
  /** True when `cutPower` was called. */
  readonly asked: boolean;
  /** What QEMU had to say, for a person to read. */
  readonly reason: string;
}

export class Machine {
  readonly node: number;
  /** Settles when the QEMU process has ended; never rejects. */
  readonly ended: Promise<MachineEnd>;
  readonly #child: ChildProcess;
  readonly #tail: string[] = [];
  #asked = false;

  /** Starts the node. `onStep` is told what its start-up scripts print as "step: ...". */
  constructor(spec: MachineSpec, onStep: (step: string) => void) {
    this.node = spec.node;
    // setpriv: QEMU dies with this process, however that dies. detached: a terminal's ^C is ours to handle.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", QEMU, ...qemuArgs(spec)], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    this.#watchConsole(child, onStep);
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2000);
    });
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => {
        resolve({ asked: false, reason: `cannot run setpriv: ${error.message}` });
      });
      child.once("close", (code, signal) => {
        const how = signal === null ? `QEMU ended with ${code ?? "?"}` : `QEMU was ended by ${signal}`;
        const why = complaint.trim();
        resolve({ asked: this.#asked, reason: why === "" ? how : `${how}: ${why}` });
      });
    });
  }

  /** The last lines of the console. */
  get console(): readonly string[] {
    return this.#tail;
  }

  cutPower(): void {
    this.#asked = true;
    this.#child.kill("SIGKILL");
  }

  #watchConsole(child: ChildProcess, onStep: (step: string) => void): void {
    const lines = new LineSplitter(4096);
    child.stdout?.on("data", (chunk: Buffer) => {
      for (const raw of lines.push(chunk)) {
        const line = raw.toString().trimEnd();
        this.#tail.push(line);
        if (this.#tail.length > TAIL) this.#tail.shift();
        const step = /^step: (.*)/.exec(line)?.[1];
        if (step !== undefined) onStep(step);
      }
    });
  }
}
