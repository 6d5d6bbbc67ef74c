// What RESUME, PRESUSPEND, POSTSUSPEND and DTR do to a log that is there, one step after the other.

import type { NativeLogSocket } from "../../native";
import type { DirtyLog } from "../log/dirty-log";

import { settledWithin } from "./bounded";
import type { LogInstance } from "./instance";
import type { Instances } from "./instances";
import type { Notices } from "./notices";
import type { Records } from "./records";
import type { InstanceState } from "./registry";

/** How long is waited for a log that is to let go of its devices, in milliseconds. */
export const PATIENCE_MS = 5_000;

export class Steps {
  readonly #instances: Instances;
  readonly #records: Records;
  readonly #notices: Notices;
  /** By UUID: one instance at a time takes over the log device. */
  readonly #handOvers = new Map<string, Promise<unknown>>();
  /** By UUID: logs without a table that have not let go yet. */
  readonly #leaving = new Map<string, Promise<unknown>>();
  #socket: NativeLogSocket | undefined;

  constructor(instances: Instances, records: Records, notices: Notices) {
    this.#instances = instances;
    this.#records = records;
    this.#notices = notices;
  }

  // ---- the receive thread

  /** From now on it can answer. Undefined: no more. */
  serve(socket: NativeLogSocket | undefined): void {
    this.#socket = socket;
    for (const instance of this.#instances.all()) this.attach(instance);
  }

  attach({ state, flavour, uuid, luid, log, gone, unsure }: LogInstance): void {
    if (state !== "active" || gone || unsure || !log?.shared) return;
    this.#socket?.attach(uuid, luid, flavour === "clog", log.shared);
  }

  #detach({ uuid, luid, log }: LogInstance): void {
    if (log?.shared) this.#socket?.detach(uuid, luid);
  }

  /** Nothing is marked of which the log does not know. */
  async sure(instance: LogInstance): Promise<void> {
    instance.unsure = false;
    this.attach(instance);
    // not before: a successor would take it for one that knows
    await instance.control(async () => {
      if (!instance.gone) await this.#records.keep(instance);
    });
  }

  // ---- with the mirror

  /** RESUME. Whichever instance of the mirror ran has stopped before. */
  takeOver(instance: LogInstance): Promise<void> {
    if (instance.state === "active") return Promise.resolve();
    const { uuid } = instance;
    const before = this.#handOvers.get(uuid) ?? Promise.resolve();
    const handOver = before.then(async () => {
      if (instance.state === "active" || instance.gone) return;
      await this.retireOthers(instance);
      await instance.control(() => this.#start(instance));
    });
    const end = handOver
      .catch(() => undefined)
      .finally(() => {
        if (this.#handOvers.get(uuid) === end) this.#handOvers.delete(uuid);
      });
    this.#handOvers.set(uuid, end);
    return handOver;
  }

  /** One instance has the log device; the others' lazy writes would be to what is no longer theirs. */
  async retireOthers(instance: LogInstance): Promise<void> {
    await settledWithin(PATIENCE_MS, [this.#leaving.get(instance.uuid) ?? Promise.resolve()]);
    for (const other of this.#instances.ofMirror(instance.uuid)) {
      if (other !== instance && other.running) await this.makeUpForSuspend(other);
    }
  }

  /** Its POSTSUSPEND is not to be expected any more. Does not fail. */
  async makeUpForSuspend(instance: LogInstance): Promise<void> {
    await this.postsuspend(instance).catch((thrown: unknown) => {
      this.#notices.requestFailed(instance, "POSTSUSPEND", thrown);
    });
  }

  async #start(instance: LogInstance): Promise<void> {
    const { log } = instance;
    if (!log || instance.state === "active" || instance.gone) return;
    if (instance.state === "presuspended") await this.#stop(instance, log);
    try {
      await log.resume();
    } finally {
      // whatever the log says: the kernel lets I/O go on
      instance.unsynced.clear();
      await this.#become(instance, "active");
      this.attach(instance);
      this.#notices.step(instance, "resumed");
    }
  }

  /** PRESUSPEND */
  presuspend(instance: LogInstance): Promise<void> {
    return instance.control(async () => {
      if (instance.state !== "active" || !instance.log) return;
      try {
        // at once: nothing is to wait for another node any more
        await Promise.all([this.#become(instance, "presuspended"), instance.log.presuspend()]);
      } catch (thrown) {
        this.#notices.requestFailed(instance, "PRESUSPEND", thrown);
        throw thrown;
      }
    });
  }

  /** POSTSUSPEND */
  postsuspend(instance: LogInstance): Promise<void> {
    return instance.control(async () => {
      if (instance.running && instance.log) await this.#stop(instance, instance.log);
    });
  }

  async #stop(instance: LogInstance, log: DirtyLog): Promise<void> {
    const missed = instance.state === "active";
    this.#detach(instance);
    try {
      if (missed) await log.presuspend();
      await log.postsuspend();
    } finally {
      instance.unsure = false;
      // here too
      await this.#become(instance, "suspended");
      this.#notices.step(instance, "suspended");
    }
  }

  // ---- the end

  /** Its table is gone, or another has taken its place: the next instance of the mirror waits for it. */
  leave(instance: LogInstance): Promise<void> {
    const { uuid } = instance;
    instance.gone = true;
    this.#detach(instance);
    const left = instance.control(() => this.discard(instance));
    const all = Promise.all([this.#leaving.get(uuid), left]);
    this.#leaving.set(uuid, all);
    void all.finally(() => {
      if (this.#leaving.get(uuid) === all) this.#leaving.delete(uuid);
    });
    return left;
  }

  /** Does not fail. */
  async discard(instance: LogInstance): Promise<void> {
    const { log, regions } = instance;
    this.#detach(instance);
    try {
      if (instance.running && log && instance.gone) await log.postsuspend();
    } catch (thrown) {
      this.#notices.requestFailed(instance, "POSTSUSPEND", thrown);
    }
    try {
      await log?.close();
    } catch (thrown) {
      this.#notices.requestFailed(instance, "DTR", thrown);
    }
    regions?.close();
  }

  async #become(instance: LogInstance, state: InstanceState): Promise<void> {
    instance.become(state);
    if (!instance.gone && !instance.unsure) await this.#records.keep(instance);
  }
}
