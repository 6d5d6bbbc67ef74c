// How logs come, go on and go: what CTR, RESUME, PRESUSPEND, POSTSUSPEND and DTR do.

import { constants } from "node:os";

import { ClogError } from "../../errors";
import { type NativeDmDevice, type NativeLogSocket, type NativeRegions, native } from "../../native";
import type { DirtyLog, LogContext, LogFactory, LogIdentity, LogReport } from "../log/dirty-log";
import type { LogRequest, RequestName } from "../protocol/requests";

import { settledWithin } from "./bounded";
import { checkGeometry, parseConstruction } from "./construction";
import { asError } from "./errno";
import type { LogEvent, LogTrouble } from "./events";
import { LogInstance } from "./instance";
import { type Entry, type InstanceState, type Registry, monotonic } from "./registry";
import { constructorWords, listDevices, tablesOf } from "./tables";

const { EINVAL } = constants.errno;

/** For so long, in milliseconds, a log may be without a table: the kernel asks for it before it has the table in place. */
const LOADING_MS = 60_000;

/** How long is waited for a log that is to let go of its devices, and for logs that are being restored, in milliseconds. */
const PATIENCE_MS = 5_000;

/** A RESUME that comes so soon after a CTR of a kernel that had lost its server belongs to that one, in milliseconds. */
const RECONNECT_MS = 10_000;

type Origin = LogContext["origin"];

/** Where what happens is told. */
export interface Told {
  log(event: LogEvent): void;
  report(report: LogIdentity & LogReport): void;
  trouble(trouble: LogTrouble): void;
}

function keyOf({ uuid, luid }: LogIdentity): string {
  return `${luid}\0${uuid}`;
}

export class Lifecycle {
  readonly #factories: ReadonlyMap<string, LogFactory>;
  readonly #registry: Registry | undefined;
  readonly #told: Told;
  readonly #instances = new Map<string, LogInstance>();
  /** What was left of logs that could not be restored so far. */
  readonly #unrestored = new Map<string, Entry>();
  readonly #searches = new Map<string, Promise<LogInstance | undefined>>();
  /** By UUID: one instance at a time takes over the log device. */
  readonly #handOvers = new Map<string, Promise<unknown>>();
  /** By UUID: logs without a table that have not let go yet. */
  readonly #leaving = new Map<string, Promise<unknown>>();
  #socket: NativeLogSocket | undefined;
  #closed = false;

  constructor(factories: ReadonlyMap<string, LogFactory>, registry: Registry | undefined, told: Told) {
    this.#factories = factories;
    this.#registry = registry;
    this.#told = told;
  }

  all(): LogInstance[] {
    return [...this.#instances.values()];
  }

  active(uuid: string): LogInstance | undefined {
    return this.#ofUuid(uuid).find(({ running }) => running);
  }

  get(identity: LogIdentity): LogInstance | undefined {
    return this.#instances.get(keyOf(identity));
  }

  #ofUuid(uuid: string): LogInstance[] {
    return this.all().filter((instance) => instance.uuid === uuid);
  }

  // ---- beginning and end of the server

  /** Makes the logs again that a predecessor has left and that a table still has. Waits for a while, not for ever. */
  async restore(): Promise<void> {
    if (!this.#registry) return;
    const entries = await this.#registry.entries((path, reason) => {
      this.#told.trouble({ kind: "damaged", path, reason });
    });
    const devices = await listDevices().catch(() => undefined);
    const restored: Promise<unknown>[] = [];
    for (const entry of entries) {
      const tables = devices && tablesOf(devices, entry.uuid);
      const loading = entry.state === "created" && monotonic() - entry.changedAt < LOADING_MS;
      if (tables && !tables.live && !tables.inactive && !loading) {
        await this.#registry.remove(entry);
        continue;
      }
      const instance = new LogInstance(entry);
      if (instance.running) instance.device = tables?.live;
      restored.push(this.#restore(instance, entry).catch(() => undefined));
    }
    await settledWithin(PATIENCE_MS, restored);
  }

  async #restore(instance: LogInstance, entry: Entry): Promise<void> {
    try {
      await this.#put(instance, "restored");
    } catch {
      if (!instance.regionsLost) {
        this.#unrestored.set(keyOf(entry), entry);
        return;
      }
      const file = this.#registry?.regionsPath(entry) ?? "";
      this.#told.trouble({ kind: "damaged", path: file, reason: "it has not the regions of the log" });
      const known = entry.resumedAt !== undefined;
      await this.#forget(entry);
      await this.#put(new LogInstance({ ...entry, state: known ? "active" : "created" }), known ? "rebuilt" : "new");
    }
  }

  /** From now on the receive thread can answer. */
  serve(socket: NativeLogSocket): void {
    this.#socket = socket;
    for (const instance of this.all()) this.#attach(instance);
  }

  /** Logs let go of their devices, and the mirrors stay as they are. */
  async detachAll(): Promise<void> {
    this.#closed = true;
    this.#socket = undefined;
    const instances = this.all();
    this.#instances.clear();
    await settledWithin(
      PATIENCE_MS,
      instances.map(async (instance) => {
        instance.gone = true;
        try {
          await instance.log?.detach?.();
        } finally {
          instance.regions?.close();
        }
      }),
    );
  }

  // ---- making

  /** CTR. What it throws fails the table's load. */
  async construct(request: LogRequest, words: readonly string[], reconnect: boolean): Promise<DirtyLog> {
    const known = this.get(request) ?? (reconnect ? await this.#search(request, "CTR") : undefined);
    const same = known && known.words.join(" ") === words.join(" ");
    // the older protocol has no luid: a second table of the same log looks like the first asking again
    if (known && same && (reconnect || known.flavour === "clog")) {
      if (reconnect) known.reconnectedAt = monotonic();
      return (await known.ready) as DirtyLog;
    }
    const state: InstanceState = reconnect ? "active" : "created";
    const { flavour, uuid, luid } = request;
    const changedAt = monotonic();
    const resumedAt = reconnect ? changedAt : undefined;
    const instance = new LogInstance({ flavour, uuid, luid, words, state, resumedAt, changedAt });
    if (reconnect) instance.reconnectedAt = changedAt;
    const log = await this.#put(instance, reconnect ? "rebuilt" : "new");
    void this.#reap(instance);
    return log;
  }

  /** The log that the kernel uses, made again if need be. It may not be made yet. Undefined: there is no such table. */
  async find(
    identity: LogIdentity & Pick<LogRequest, "flavour">,
    request: RequestName,
  ): Promise<LogInstance | undefined> {
    return this.get(identity) ?? (await this.#search(identity, request));
  }

  #search(identity: LogIdentity & Pick<LogRequest, "flavour">, request: RequestName): Promise<LogInstance | undefined> {
    const key = keyOf(identity);
    let search = this.#searches.get(key);
    if (!search) {
      search = this.#rebuild(identity, request).finally(() => this.#searches.delete(key));
      this.#searches.set(key, search);
    }
    return search;
  }

  async #rebuild(
    { flavour, uuid, luid }: LogIdentity & Pick<LogRequest, "flavour">,
    request: RequestName,
  ): Promise<LogInstance | undefined> {
    const key = keyOf({ uuid, luid });
    const entry = this.#unrestored.get(key);
    if (entry) {
      this.#unrestored.delete(key);
      await this.#restore(new LogInstance(entry), entry);
      return this.#instances.get(key);
    }
    const { live, inactive } = tablesOf(await listDevices().catch(() => []), uuid);
    // when another instance is the live table's, this can only be the other table's
    const loading = inactive !== undefined && (!live || (this.active(uuid) !== undefined && !STARTS_IO.has(request)));
    const words = constructorWords((loading ? inactive.inactive : live?.active) ?? [], uuid);
    // a CTR may have come meanwhile
    const already = this.#instances.get(key);
    if (!words || already || this.#closed) return already;
    const changedAt = monotonic();
    const instance = new LogInstance({
      ...{ flavour, uuid, luid, words, changedAt },
      state: loading ? "created" : "active",
      resumedAt: loading ? undefined : changedAt,
    });
    if (!loading) instance.device = live;
    await this.#put(instance, loading ? "new" : "rebuilt");
    return instance;
  }

  // In place at once, so that requests wait for it while it is being made.
  #put(instance: LogInstance, origin: Origin): Promise<DirtyLog> {
    const key = keyOf(instance);
    this.#unrestored.delete(key);
    const replaced = this.#instances.get(key);
    if (replaced) void this.#leave(replaced);
    this.#instances.set(key, instance);
    instance.unsure = origin === "rebuilt";
    instance.ready = instance.control(() => this.#make(instance, origin));
    instance.ready.catch((thrown: unknown) => {
      if (this.#instances.get(key) === instance) this.#instances.delete(key);
      instance.gone = true;
      const { uuid, luid } = instance;
      if (origin === "new") void this.#forget(instance);
      if (!instance.regionsLost)
        this.#told.trouble({ kind: "construction-failed", uuid, luid, error: asError(thrown) });
    });
    return instance.ready;
  }

  async #make(instance: LogInstance, origin: Origin): Promise<DirtyLog> {
    const { uuid, luid } = instance;
    const parameters = parseConstruction(instance.flavour, uuid, instance.words);
    const factory = this.#factories.get(parameters.type);
    if (!factory) {
      const types = [...this.#factories.keys()].join(", ");
      throw new ClogError({
        errno: -EINVAL,
        syscall: "DM_ULOG_CTR",
        uuid,
        hint: `there is no log of type '${parameters.type}'; this server has ${types}`,
      });
    }
    if (origin !== "restored") await this.#registry?.removeRegions(instance);
    if (origin === "rebuilt") await this.#retireOthers(instance);
    instance.parameters = parameters;
    try {
      const log = await factory({
        ...{ uuid, luid, ...parameters, origin },
        resumed: instance.running,
        regions: (count, durable) => this.#openRegions(instance, origin, count, durable),
        predecessor: () => this.#predecessor(instance)?.log,
        report: (event) => {
          this.#told.report({ ...event, uuid, luid });
        },
      });
      if (this.#closed) {
        await log.detach?.();
        throw new Error(`${uuid}: the server has closed`);
      }
      instance.log = log;
      checkGeometry(uuid, parameters.length, log);
      instance.regionSize = log.regionSize;
      instance.regionCount = log.regionCount;
      // a new table can still be refused
      if (origin === "new") await this.#registry?.keep(instance);
    } catch (error) {
      await this.#discard(instance);
      throw error;
    }
    this.#told.log({ action: origin === "new" ? "created" : origin, uuid, luid, type: parameters.type });
    this.#attach(instance);
    return instance.log;
  }

  #openRegions(instance: LogInstance, origin: Origin, count: number, durable: boolean): NativeRegions {
    const { uuid } = instance;
    if (instance.gone) throw new Error(`${uuid}: the log has no table any more`);
    if (instance.regions) throw new Error(`${uuid}: regions() was called before`);
    try {
      instance.regions = native().openRegions(count, durable, this.#registry?.regionsPath(instance));
    } catch (error) {
      const { errno, syscall } = error as { errno?: unknown; syscall?: unknown };
      if (typeof errno !== "number" || typeof syscall !== "string") throw error;
      throw new ClogError({ errno, syscall, uuid, path: this.#registry?.regionsPath(instance), cause: error });
    }
    if (origin === "restored" && !instance.regions.restored) {
      instance.regionsLost = true;
      throw new Error(`${uuid}: what was known of its regions is lost`);
    }
    return instance.regions;
  }

  #predecessor(instance: LogInstance): LogInstance | undefined {
    return this.#ofUuid(instance.uuid)
      .filter((other) => other !== instance && other.log && other.resumedAt !== undefined)
      .sort((one, other) => (other.resumedAt ?? 0) - (one.resumedAt ?? 0))[0];
  }

  /** Nothing is marked of which the log does not know. */
  async sure(instance: LogInstance): Promise<void> {
    instance.unsure = false;
    this.#attach(instance);
    // not before: a successor would take it for one that knows
    await instance.control(async () => {
      if (!instance.gone) await this.#keep(instance);
    });
  }

  #attach({ state, flavour, uuid, luid, log, gone, unsure }: LogInstance): void {
    if (state !== "active" || gone || unsure || !log?.shared) return;
    this.#socket?.attach(uuid, luid, flavour === "clog", log.shared);
  }

  #detach({ uuid, luid, log }: LogInstance): void {
    if (log?.shared) this.#socket?.detach(uuid, luid);
  }

  // ---- going on

  /**
   * RESUME. The one that follows a CTR of a kernel that had lost its server says nothing about the mirror: it may be
   * between PRESUSPEND and POSTSUSPEND, with regions marked, or this may be a table that is not in use yet.
   */
  async resume(instance: LogInstance): Promise<void> {
    const { reconnectedAt } = instance;
    const reconnecting = reconnectedAt !== undefined && monotonic() - reconnectedAt < RECONNECT_MS;
    if (reconnecting && this.active(instance.uuid)) return;
    await this.#takeOver(instance);
    void this.#reap(instance);
  }

  /** I/O has come to a log that was not resumed: its RESUME was sent when nobody was there. */
  async resumeMissed(instance: LogInstance, request: RequestName): Promise<void> {
    const { uuid, luid } = instance;
    this.#told.trouble({ kind: "missed-resume", uuid, luid, request });
    await this.#takeOver(instance).catch((thrown: unknown) => {
      this.#requestFailed(instance, "RESUME", thrown);
    });
  }

  #takeOver(instance: LogInstance): Promise<void> {
    if (instance.state === "active") return Promise.resolve();
    const { uuid } = instance;
    const before = this.#handOvers.get(uuid) ?? Promise.resolve();
    const handOver = before.then(async () => {
      if (instance.state === "active" || instance.gone) return;
      await this.#retireOthers(instance);
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

  // One instance has the log device; the others' lazy writes would be to what is no longer theirs.
  async #retireOthers(instance: LogInstance): Promise<void> {
    await settledWithin(PATIENCE_MS, [this.#leaving.get(instance.uuid) ?? Promise.resolve()]);
    for (const other of this.#ofUuid(instance.uuid)) {
      if (other === instance || !other.running) continue;
      await this.postsuspend(other).catch((thrown: unknown) => {
        this.#requestFailed(other, "POSTSUSPEND", thrown);
      });
    }
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
      this.#attach(instance);
      this.#tellStep(instance, "resumed");
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
        this.#requestFailed(instance, "PRESUSPEND", thrown);
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
      this.#tellStep(instance, "suspended");
    }
  }

  /** DTR; also of a log that there is not. */
  async destroy(identity: LogIdentity): Promise<void> {
    const instance = this.get(identity);
    if (instance) {
      await this.#remove(instance);
      void this.#reap(instance);
    } else if (this.#unrestored.delete(keyOf(identity))) await this.#forget(identity);
  }

  async #remove(instance: LogInstance): Promise<void> {
    this.#instances.delete(keyOf(instance));
    await settledWithin(PATIENCE_MS, [this.#leave(instance)]);
    if (!this.get(instance)) await this.#forget(instance);
    this.#tellStep(instance, "removed");
  }

  // The next instance of the same log waits for it before it takes the log device.
  #leave(instance: LogInstance): Promise<void> {
    const { uuid } = instance;
    instance.gone = true;
    this.#detach(instance);
    const left = instance.control(() => this.#discard(instance));
    const all = Promise.all([this.#leaving.get(uuid), left]);
    this.#leaving.set(uuid, all);
    void all.finally(() => {
      if (this.#leaving.get(uuid) === all) this.#leaving.delete(uuid);
    });
    return left;
  }

  /** Does not fail. */
  async #discard(instance: LogInstance): Promise<void> {
    const { log, regions } = instance;
    this.#detach(instance);
    try {
      if (instance.running && log && instance.gone) await log.postsuspend();
    } catch (thrown) {
      this.#requestFailed(instance, "POSTSUSPEND", thrown);
    }
    try {
      await log?.close();
    } catch (thrown) {
      this.#requestFailed(instance, "DTR", thrown);
    }
    regions?.close();
  }

  async #become(instance: LogInstance, state: InstanceState): Promise<void> {
    instance.become(state);
    if (!instance.gone && !instance.unsure) await this.#keep(instance);
  }

  /** Does not fail: the kernel goes on with the log in any case. */
  async #keep(instance: LogInstance): Promise<void> {
    await this.#registry?.keep(instance).catch(this.#notKept(instance));
  }

  /** Does not fail either. */
  async #forget(identity: LogIdentity): Promise<void> {
    await this.#registry?.remove(identity).catch(this.#notKept(identity));
  }

  #notKept({ uuid, luid }: LogIdentity): (thrown: unknown) => void {
    return (thrown) => {
      this.#told.trouble({ kind: "not-kept", uuid, luid, error: asError(thrown) });
    };
  }

  #tellStep({ uuid, luid, parameters }: LogInstance, action: LogEvent["action"]): void {
    this.#told.log({ action, uuid, luid, type: parameters?.type ?? "" });
  }

  #requestFailed({ uuid, luid }: LogInstance, request: RequestName, thrown: unknown): void {
    this.#told.trouble({ kind: "request-failed", uuid, luid, request, error: asError(thrown) });
  }

  // ---- logs that the kernel has forgotten without a word

  // A table's load that fails late sends no DTR, and a DTR that nobody heard does not come again.
  async #reap(current: LogInstance): Promise<void> {
    const { uuid } = current;
    const devices = await listDevices().catch((): NativeDmDevice[] | undefined => undefined);
    if (!devices) return;
    const { live, inactive } = tablesOf(devices, uuid);
    const active = this.active(uuid);
    if (active && live) active.device = live;
    if (inactive || (live && !active)) return;
    for (const instance of this.#ofUuid(uuid)) {
      const used = instance === current || (live && instance === active);
      if (!used && monotonic() - instance.changedAt >= LOADING_MS) await this.#remove(instance);
    }
  }
}

/** Requests that come of I/O, or of recovery that may go on. */
export const STARTS_IO: ReadonlySet<RequestName> = new Set(["IN_SYNC", "MARK_REGION", "FLUSH", "GET_RESYNC_WORK"]);
