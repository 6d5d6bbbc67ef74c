// One node of the QEMU cluster from power on to power off: its machine, its two connections, and its way up.

import type { Server, Socket } from "node:net";
import net from "node:net";

import type { Loss, NodeProcess } from "../cluster";
import { LabError } from "../errors";
import { runGuestScript } from "../guest-script";
import { within } from "../waiting";
import type { MachineSpec } from "./args";
import { setClock } from "./clock";
import { type ChannelHooks, ControlChannel } from "../agent/channel";
import type { MachineEnd } from "./machine";
import { Machine } from "./machine";
import type { Switch } from "./switch";

/** What scripts/guest/fs-dlm.sh says before it starts dlm_controld. */
const TAKES_PART = /starting dlm_controld/;

export interface StackSetup {
  readonly stack: string;
  /** Parameters of the scripts in scripts/guest. */
  readonly env: Readonly<Record<string, string>>;
  /** Seconds that one step may take. */
  readonly patience: number;
}

export class QemuNode {
  readonly number: number;
  readonly channel: ControlChannel;
  readonly #servers: Server[] = [];
  readonly #onStep: (step: string) => void;
  #machine: Machine | undefined;
  #reachable = false;
  #on = false;
  #takesPart = false;

  constructor(number: number, onStep: (step: string) => void, hooks: ChannelHooks) {
    this.number = number;
    this.#onStep = onStep;
    this.channel = new ControlChannel(hooks);
  }

  /** Its agent has spoken. */
  get reachable(): boolean {
    return this.#reachable;
  }

  /** It may be known to the others' dlm_controld, as its own has been started or is about to be. */
  get takesPart(): boolean {
    return this.#takesPart;
  }

  /** Its machine is on. */
  get on(): boolean {
    return this.#on;
  }

  /** Switches the machine on. The returned promise settles when it is off again. */
  async start(spec: MachineSpec, network: Switch, signal: AbortSignal): Promise<{ ended: Promise<MachineEnd> }> {
    await this.#listen(spec.controlSocket, (socket) => {
      this.channel.connect(socket);
    });
    await this.#listen(spec.networkSocket, (socket) => {
      network.attach(this.number, socket);
    });
    signal.throwIfAborted();
    const machine = new Machine(spec, this.#onStep);
    this.#machine = machine;
    this.#on = true;
    void machine.ended.then(() => {
      this.#on = false;
    });
    // wrapped, for an async function would wait for it
    return { ended: machine.ended };
  }

  /** From power on to a working stack. */
  async boot(setup: StackSetup, signal: AbortSignal): Promise<void> {
    const { patience } = setup;
    await this.#while(within(patience, `n${this.number} to boot`, signal, this.channel.hello));
    this.#reachable = true;
    this.#onStep("agent is up");
    await this.#while(within(patience * 3, `n${this.number}'s stack`, signal, this.#setUp(setup)));
    this.#onStep("stack is up");
  }

  /** Best done when nothing else is going on. */
  async setClock(patience: number, signal: AbortSignal): Promise<void> {
    const limit = within(patience, `n${this.number}'s clock`, signal, setClock(this.channel, signal));
    const offset = await this.#while(limit);
    this.#onStep(
      `ready, its clock ${Math.abs(offset).toFixed(0)} ms ${offset < 0 ? "behind" : "ahead of"} this machine's`,
    );
  }

  /** What a person wants to see of the console when something went wrong. */
  get telling(): readonly string[] {
    return this.#machine?.console.telling ?? [];
  }

  /** Cuts the power and waits until it is off. */
  async cutPower(how: Loss, reason: string): Promise<void> {
    this.#machine?.cutPower(how, reason);
    await this.#machine?.ended;
  }

  freeze(): void {
    this.#machine?.freeze();
  }

  thaw(): void {
    this.#machine?.thaw();
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }

  async #setUp(setup: StackSetup): Promise<void> {
    for (const name of ["network.sh", `stack-${setup.stack}.sh`]) {
      const start = (argv: readonly string[]): NodeProcess => this.channel.exec({ argv, cwd: "/", env: setup.env });
      try {
        await runGuestScript(name, start, (step) => {
          this.#takesPart ||= TAKES_PART.test(step);
          this.#onStep(step);
        });
      } catch (error) {
        throw error instanceof LabError ? new LabError(`n${this.number}: ${error.message}`) : error;
      }
    }
  }

  // the end of the machine ends every wait for it
  async #while<T>(promise: Promise<T>): Promise<T> {
    const machine = this.#machine;
    if (machine === undefined) throw new LabError(`n${this.number} is off`);
    const off = machine.ended.then((end): never => {
      const how = end.how === "died" ? end.reason : `${end.how}: ${end.reason}`;
      throw new LabError(`n${this.number} went off while it booted (${how})`);
    });
    off.catch(() => undefined);
    return Promise.race([promise, off]);
  }

  async #listen(file: string, onSocket: (socket: Socket) => void): Promise<void> {
    const server = net.createServer(onSocket);
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(file, resolve);
    });
  }
}
