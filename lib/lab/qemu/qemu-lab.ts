// A cluster of QEMU nodes, run from this process: its life, and the faults it can have.

import { setMaxListeners } from "node:events";
import { truncate, writeFile } from "node:fs/promises";
import type { Duplex } from "node:stream";

import type { ClusterStatus, KillOptions, Link, NodeProcess, NodeStatus, StartOptions } from "../cluster";
import { LabError, messageOf } from "../errors";
import type { LabPlan } from "../options";
import { GuestEnvironment } from "./guest-environment";
import type { ExecRequest } from "../agent/channel";
import type { SharedDisks } from "./disks/disks";
import type { Hardware } from "./hardware";
import { machineSpec } from "./hardware";
import type { MachineEnd } from "./machine";
import { NodeLogs } from "./node-logs";
import { leaveOut, type OutDir } from "./out-dir";
import { QemuNode } from "./qemu-node";
import type { RunDir } from "./run-dir";
import { Switch } from "./switch";

/** What a lab is made of before its first node is switched on. */
export interface LabParts {
  readonly plan: LabPlan;
  readonly hardware: Hardware;
  readonly out: OutDir;
  readonly runDir: RunDir;
  readonly disks: SharedDisks | undefined;
  readonly progress: (line: string) => void;
  /** Gets the connections that programs in the nodes make to the lab. */
  readonly onTunnel: (stream: Duplex, node: number) => void;
}

/** One node's place in the cluster; its power may come and go. */
interface Place {
  readonly number: number;
  state: "booting" | "up" | "failed" | "off";
  frozen: boolean;
  lost: NodeStatus["lost"];
  detail: string;
  by: number | null;
  power: QemuNode | undefined;
  /** Ends a boot that is under way. */
  boot: AbortController;
  /** Settles when all is done that follows a loss of power. */
  settled: Promise<void>;
}

export class QemuLab {
  readonly nodes: readonly number[];
  readonly plan: LabPlan;
  readonly out: OutDir;
  readonly #parts: LabParts;
  readonly #logs: NodeLogs;
  readonly #network = new Switch();
  readonly #places: ReadonlyMap<number, Place>;
  readonly #guest: GuestEnvironment;
  readonly #began = performance.now();
  #partition: readonly (readonly number[])[] | null = null;
  #failed = false;
  #ending: Promise<void> | undefined;

  constructor(parts: LabParts) {
    this.#parts = parts;
    this.plan = parts.plan;
    this.out = parts.out;
    this.nodes = Array.from({ length: parts.plan.nodes }, (_, index) => index + 1);
    this.#logs = new NodeLogs(this.nodes, parts.runDir, parts.out);
    this.#guest = new GuestEnvironment(parts.plan, parts.out.path);
    this.#places = new Map(this.nodes.map((number) => [number, emptyPlace(number)]));
  }

  /** Switches all nodes on; resolves when the stack is up on every one of them. */
  async boot(signal: AbortSignal): Promise<void> {
    const { plan, hardware, runDir, out, progress } = this.#parts;
    progress(`booting ${plan.nodes} node${plan.nodes === 1 ? "" : "s"} by ${hardware.accel}, stack ${plan.stack}`);
    if (out.fresh) progress(`CLUSTERLOCK_OUT is ${out.path}`);
    const heartbeat = this.#guest.heartbeatBytes;
    if (heartbeat > 0) {
      await writeFile(runDir.file("heartbeat.raw"), "");
      await truncate(runDir.file("heartbeat.raw"), heartbeat);
    }
    const failure = new AbortController();
    const either = AbortSignal.any([signal, failure.signal]);
    // every node waits for several things at once
    setMaxListeners(0, either);
    try {
      const fail = (error: unknown): never => {
        failure.abort(error);
        throw error;
      };
      const all = async (what: (place: Place) => Promise<void>): Promise<void> => {
        await Promise.all([...this.#places.values()].map(async (place) => what(place).catch(fail)));
      };
      await all(async (place) => this.#powerOn(place, this.nodes.length, this.#patience, either));
      await all(async ({ power }) => power?.setClock(this.#patience, either));
      for (const place of this.#places.values()) place.state = "up";
    } catch (error) {
      if (!signal.aborted) {
        this.#failed = true;
        this.#explain(error);
      }
      throw error;
    }
  }

  exec(node: number, request: ExecRequest): NodeProcess {
    const { power, number, state } = this.#place(node);
    // one that is off loses the program at once
    if (power === undefined || (state === "booting" && !power.reachable)) {
      throw new LabError(`n${number} is ${state}: nothing can run there`);
    }
    return power.channel.exec(request);
  }

  /** `by`: the node whose program asks for it; undefined for somebody outside. */
  async kill(node: number, { lose = "none", seed = 1 }: KillOptions, by: number | undefined): Promise<void> {
    const place = this.#place(node);
    if (place.state !== "off") place.by = by ?? null;
    const reason = by === undefined ? "power cut on request" : `power cut on request of n${by}`;
    await this.#cut(place, { how: "killed", reason }, lose, seed);
  }

  async start(node: number, { timeout }: StartOptions = {}): Promise<void> {
    const place = this.#place(node);
    if (place.state === "failed") throw new LabError(`n${node} is on, but its stack did not come up: kill it first`);
    if (place.state !== "off") throw new LabError(`n${node} is on already (${place.state})`);
    if (this.#ending !== undefined) throw new LabError("the lab is ending");
    place.state = "booting";
    const patience = timeout === undefined ? this.#patience : timeout / 1000;
    const online = this.nodes.filter(
      (other) => this.#network.connects(node, other) && (other === node || this.#place(other).state !== "off"),
    );
    place.boot = new AbortController();
    const { signal } = place.boot;
    try {
      await place.settled;
      await this.#powerOn(place, online.length, patience, signal);
      await place.power?.setClock(patience, signal);
      place.state = "up";
    } catch (error) {
      // one that is on stays so, for a person to look at
      place.state = place.power?.on === true ? "failed" : "off";
      if (place.state === "off") place.power?.close();
      place.detail = messageOf(error);
      throw error;
    }
  }

  freeze(node: number): void {
    const place = this.#running(node);
    place.power.freeze();
    place.frozen = true;
    this.#say(`n${node} is frozen`);
  }

  thaw(node: number): void {
    const place = this.#running(node);
    place.power.thaw();
    place.frozen = false;
    this.#say(`n${node} is thawed`);
  }

  partition(groups: readonly (readonly number[])[]): void {
    const named = new Set(groups.flat());
    const rest = this.nodes.filter((node) => !named.has(node));
    this.#network.partition(groups);
    this.#partition = rest.length > 0 ? [...groups, rest] : groups;
    this.#say(`the network is cut: ${this.#partition.map((group) => group.join(",")).join(" / ")}`);
  }

  heal(): void {
    this.#network.heal();
    this.#partition = null;
    this.#say("the network is whole");
  }

  loss(link: Link, percent: number): void {
    this.#network.loss(link, percent / 100);
    this.#say(`link ${link.join("-")} loses ${percent} % of its frames`);
  }

  delay(link: Link, ms: number): void {
    this.#network.delay(link, ms);
    this.#say(`link ${link.join("-")} delays its frames by ${ms} ms`);
  }

  async console(node: number): Promise<string> {
    return this.#logs.console(this.#place(node).number);
  }

  status(): ClusterStatus {
    return {
      driver: `qemu (${this.#parts.hardware.accel}, kernel ${this.#parts.hardware.release})`,
      stack: this.plan.stack,
      nodes: [...this.#places.values()].map(({ number, state, frozen, lost, detail, by }) => ({
        node: number,
        state: frozen && state !== "off" ? "frozen" : state,
        lost,
        detail,
        by,
      })),
      partition: this.#partition,
      links: this.#network.faults,
    };
  }

  /** The logs of this lab's nodes are wanted afterwards. */
  keepLogs(): void {
    this.#failed = true;
  }

  async down(): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  async #powerOn(place: Place, online: number, patience: number, signal: AbortSignal): Promise<void> {
    const { number } = place;
    const { hardware, runDir, out, disks } = this.#parts;
    const power = new QemuNode(
      number,
      (step) => {
        this.#say(`n${number} ${((performance.now() - this.#began) / 1000).toFixed(1)} s: ${step}`);
      },
      {
        onTunnel: (stream) => {
          this.#parts.onTunnel(stream, number);
        },
        onFence: async (victim) => this.#fence(victim, number),
      },
    );
    Object.assign(place, { power, state: "booting", frozen: false, lost: null, detail: "", by: null });
    const spec = machineSpec(number, this.plan, hardware, out, runDir, {
      logs: this.#logs,
      disks: disks?.qemuArgs(number) ?? [],
      heartbeat: this.#guest.heartbeatBytes > 0 ? runDir.file("heartbeat.raw") : undefined,
    });
    const { ended } = await power.start(spec, this.#network, signal);
    void ended.then((end) => {
      this.#ended(place, power, end);
    });
    const env = this.#guest.setup(number, online, patience);
    await power.boot({ stack: this.plan.stack, env, patience }, signal);
  }

  /** Resolves when the victim is off: not before its locks may be given to others. */
  async #fence(victim: number, by: number): Promise<void> {
    const place = this.#place(victim);
    // one that boots and has not taken part yet is meant as it was before: that was off
    if (place.state === "booting" && place.power?.takesPart !== true) await place.settled;
    else {
      if (place.state !== "off") place.by = by;
      await this.#cut(place, { how: "fenced", reason: `by n${by}` }, "none", 1);
    }
  }

  async #cut(place: Place, end: MachineEnd, lose: KillOptions["lose"] & string, seed: number): Promise<void> {
    const { power, number } = place;
    if (place.state === "booting") {
      place.boot.abort(new LabError(`n${number} went off while it booted (${end.how}: ${end.reason})`));
    }
    if (power?.on === true) {
      place.settled = this.#off(power, end, lose, seed, number);
    }
    await place.settled;
  }

  async #off(power: QemuNode, end: MachineEnd, lose: "none" | "some" | "all", seed: number, node: number) {
    await power.cutPower(end.how, end.reason);
    const sectors = (await this.#parts.disks?.settle(node, lose, seed)) ?? 0;
    if (lose !== "none") this.#say(`n${node}'s disks lost ${sectors} sectors that were not flushed`);
  }

  #ended(place: Place, power: QemuNode, end: MachineEnd): void {
    power.channel.lose(end.how);
    power.close();
    if (place.power !== power) return;
    Object.assign(place, { state: "off", frozen: false, lost: end.how, detail: end.reason });
    if (this.#ending !== undefined) return;
    if (end.how === "killed") {
      this.#say(`n${place.number} is off (${end.reason})`);
    } else {
      this.#failed = true;
      this.#say(`n${place.number} ${end.how === "died" ? `died (${end.reason})` : `was fenced ${end.reason}`}`);
    }
    if (end.how !== "died") return;
    // its disks keep their power
    place.settled = Promise.resolve(this.#parts.disks?.settle(place.number, "none", 1)).then(() => undefined);
    this.#show(place);
  }

  #explain(error: unknown): void {
    const node = /\bn(\d)\b/.exec(messageOf(error))?.[1];
    const place = node === undefined ? undefined : this.#places.get(Number(node));
    // one that died has been shown
    if (place !== undefined && place.lost !== "died") this.#show(place);
  }

  #show({ number, power }: Place): void {
    this.#say(`n${number}'s console, all in ${this.#logs.kept(number)}:`);
    for (const line of power?.telling ?? []) this.#say(`  ${line}`);
  }

  #say(line: string): void {
    this.#parts.progress(line);
  }

  /** Seconds that one step may take: many nodes share few processors. */
  get #patience(): number {
    return 60 + 30 * this.nodes.length;
  }

  #place(node: number): Place {
    const place = this.#places.get(node);
    if (place === undefined) throw new LabError(`there is no node ${node} in this cluster`);
    return place;
  }

  #running(node: number): Place & { power: QemuNode } {
    const place = this.#place(node);
    const { power } = place;
    if (power?.on !== true) throw new LabError(`n${node} is off`);
    return Object.assign(place, { power });
  }

  async #end(): Promise<void> {
    const { runDir, out, disks } = this.#parts;
    for (const { boot } of this.#places.values()) boot.abort(new LabError("the lab ended"));
    const powers = [...this.#places.values()].flatMap(({ power }) => power ?? []);
    await Promise.all(powers.map(async (power) => power.cutPower("died", "the lab ended")));
    for (const power of powers) power.close();
    this.#network.close();
    await disks?.close();
    if (this.#failed) await this.#logs.keep();
    await runDir.remove();
    await leaveOut(out);
  }
}

function emptyPlace(number: number): Place {
  return {
    number,
    state: "off",
    frozen: false,
    lost: null,
    detail: "",
    by: null,
    power: undefined,
    boot: new AbortController(),
    settled: Promise.resolve(),
  };
}
