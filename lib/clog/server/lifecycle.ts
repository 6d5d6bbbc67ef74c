// How logs come, by CTR or from what a predecessor has left, and how they go.

import type { NativeDmDevice, NativeLogSocket } from "../../native";
import type { DirtyLog, LogFactory, LogIdentity } from "../log/dirty-log";
import type { LogRequest, RequestName } from "../protocol/requests";

import { settledWithin } from "./bounded";
import { LogInstance } from "./instance";
import { Instances, keyOf } from "./instances";
import { Making, type Origin } from "./making";
import { Notices, type Told } from "./notices";
import { STARTS_IO } from "./occasions";
import { Records } from "./records";
import { type Entry, type InstanceState, type Registry, monotonic } from "./registry";
import { PATIENCE_MS, Steps } from "./steps";
import { constructorWords, listDevices, liveMirrors, tablesOf } from "./tables";

/** For so long, in milliseconds, a log may be without a table: the kernel asks for it before it has the table in place. */
const LOADING_MS = 60_000;

/** A RESUME that comes so soon after a CTR of a kernel that had lost its server belongs to that one, in milliseconds. */
const RECONNECT_MS = 10_000;

type Wanted = LogIdentity & Pick<LogRequest, "flavour">;

export class Lifecycle {
  readonly #instances = new Instances();
  readonly #notices: Notices;
  readonly #records: Records;
  readonly #making: Making;
  readonly #steps: Steps;
  /** What was left of logs that could not be restored so far. */
  readonly #unrestored = new Map<string, Entry>();
  readonly #searches = new Map<string, Promise<LogInstance | undefined>>();
  #closed = false;

  constructor(factories: ReadonlyMap<string, LogFactory>, registry: Registry | undefined, told: Told) {
    this.#notices = new Notices(told);
    this.#records = new Records(registry, this.#notices);
    this.#making = new Making(factories, this.#instances, this.#records, this.#notices);
    this.#steps = new Steps(this.#instances, this.#records, this.#notices);
  }

  all(): LogInstance[] {
    return this.#instances.all();
  }

  active(uuid: string): LogInstance | undefined {
    return this.#instances.running(uuid);
  }

  get(identity: LogIdentity): LogInstance | undefined {
    return this.#instances.get(identity);
  }

  // ---- beginning and end of the server

  /** Makes the logs again that a predecessor has left and that a table still has. Waits for a while, not for ever. */
  async restore(): Promise<void> {
    const entries = await this.#records.left();
    if (entries.length === 0) return;
    const devices = await listDevices().catch(() => undefined);
    const restored: Promise<unknown>[] = [];
    for (const entry of entries) {
      const tables = devices && tablesOf(devices, entry.uuid);
      const loading = entry.state === "created" && monotonic() - entry.changedAt < LOADING_MS;
      if (tables && !tables.live && !tables.inactive && !loading) {
        await this.#records.forget(entry);
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
      this.#notices.damaged(this.#records.regionsPath(entry) ?? "", "it has not the regions of the log");
      const known = entry.resumedAt !== undefined;
      await this.#records.forget(entry);
      await this.#put(new LogInstance({ ...entry, state: known ? "active" : "created" }), known ? "rebuilt" : "new");
    }
  }

  /** From now on the receive thread can answer. */
  serve(socket: NativeLogSocket): void {
    this.#steps.serve(socket);
  }

  /** Logs let go of their devices, and the mirrors stay as they are. */
  async detachAll(): Promise<void> {
    this.#closed = true;
    this.#steps.serve(undefined);
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
      const log = (await known.ready) as DirtyLog;
      // the kernel's RESUME comes when it has the answer
      if (reconnect) known.reconnectedAt = monotonic();
      return log;
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
  async find(identity: Wanted, request: RequestName): Promise<LogInstance | undefined> {
    return this.get(identity) ?? (await this.#search(identity, request));
  }

  #search(identity: Wanted, request: RequestName): Promise<LogInstance | undefined> {
    const key = keyOf(identity);
    let search = this.#searches.get(key);
    if (!search) {
      search = this.#rebuild(identity, request).finally(() => this.#searches.delete(key));
      this.#searches.set(key, search);
    }
    return search;
  }

  async #rebuild({ flavour, uuid, luid }: Wanted, request: RequestName): Promise<LogInstance | undefined> {
    const key = keyOf({ uuid, luid });
    const entry = this.#unrestored.get(key);
    if (entry) {
      this.#unrestored.delete(key);
      await this.#restore(new LogInstance(entry), entry);
      return this.get(entry);
    }
    const { live, inactive } = tablesOf(await listDevices().catch(() => []), uuid);
    // when another instance is the live table's, this can only be the other table's
    const loading = inactive !== undefined && (!live || (this.active(uuid) !== undefined && !STARTS_IO.has(request)));
    const words = constructorWords((loading ? inactive.inactive : live?.active) ?? [], uuid);
    // a CTR may have come meanwhile
    const already = this.get({ uuid, luid });
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
    this.#unrestored.delete(keyOf(instance));
    const replaced = this.#instances.put(instance);
    if (replaced) void this.#steps.leave(replaced);
    instance.unsure = origin === "rebuilt";
    // the older kernel says RESUME, too, when it had merely lost its server, and nothing that tells the two apart
    instance.presumed = origin === "restored" && instance.running && instance.flavour === "ulog";
    instance.ready = instance.control(() => this.#make(instance, origin));
    instance.ready.catch((thrown: unknown) => {
      this.#instances.remove(instance);
      instance.gone = true;
      if (origin === "new") void this.#records.forget(instance);
      if (!instance.regionsLost) this.#notices.constructionFailed(instance, thrown);
    });
    return instance.ready;
  }

  async #make(instance: LogInstance, origin: Origin): Promise<DirtyLog> {
    const order = this.#making.order(instance);
    if (origin !== "restored") await this.#records.removeRegions(instance);
    if (origin === "rebuilt") await this.#steps.retireOthers(instance);
    let log: DirtyLog;
    try {
      log = await this.#making.make(instance, order, origin);
      if (this.#closed) {
        await log.detach?.();
        throw new Error(`${instance.uuid}: the server has closed`);
      }
      this.#making.accept(instance, log, order);
      // a new table can still be refused
      if (origin === "new") await this.#records.keepNew(instance);
    } catch (error) {
      await this.#steps.discard(instance);
      throw error;
    }
    this.#notices.step(instance, origin === "new" ? "created" : origin);
    this.#steps.attach(instance);
    return log;
  }

  // ---- steps

  /**
   * RESUME. The one that follows a CTR of a kernel that had lost its server says nothing about the mirror: it may be
   * between PRESUSPEND and POSTSUSPEND, with regions marked, or this may be a table that is not in use yet.
   */
  async resume(instance: LogInstance): Promise<void> {
    const { reconnectedAt } = instance;
    const reconnecting = reconnectedAt !== undefined && monotonic() - reconnectedAt < RECONNECT_MS;
    if (reconnecting && this.active(instance.uuid)) return;
    // its PRESUSPEND and POSTSUSPEND were sent when nobody was there
    if (instance.presumed) await this.#steps.makeUpForSuspend(instance);
    await this.#steps.takeOver(instance);
    void this.#reap(instance);
  }

  /** I/O has come to a log that was not resumed: its RESUME was sent when nobody was there. */
  async resumeMissed(instance: LogInstance, request: RequestName): Promise<void> {
    this.#notices.resumeMissed(instance, request);
    await this.#steps.takeOver(instance).catch((thrown: unknown) => {
      this.#notices.requestFailed(instance, "RESUME", thrown);
    });
  }

  /** PRESUSPEND */
  presuspend(instance: LogInstance): Promise<void> {
    return this.#steps.presuspend(instance);
  }

  /** POSTSUSPEND */
  postsuspend(instance: LogInstance): Promise<void> {
    return this.#steps.postsuspend(instance);
  }

  /** Nothing is marked of which the log does not know. */
  sure(instance: LogInstance): Promise<void> {
    return this.#steps.sure(instance);
  }

  /** DTR; also of a log that there is not. */
  async destroy(identity: LogIdentity): Promise<void> {
    const instance = this.get(identity);
    if (instance) {
      await this.#remove(instance);
      void this.#reap(instance);
    } else if (this.#unrestored.delete(keyOf(identity))) await this.#records.forget(identity);
  }

  async #remove(instance: LogInstance): Promise<void> {
    this.#instances.remove(instance);
    await settledWithin(PATIENCE_MS, [this.#steps.leave(instance)]);
    if (!this.get(instance)) await this.#records.forget(instance);
    this.#notices.step(instance, "removed");
  }

  // ---- what device-mapper says of it

  // A table's load that fails late sends no DTR, and a DTR that nobody heard does not come again.
  async #reap(current: LogInstance): Promise<void> {
    const { uuid } = current;
    const devices = await listDevices().catch((): NativeDmDevice[] | undefined => undefined);
    if (!devices) return;
    const { live, inactive } = tablesOf(devices, uuid);
    const active = this.active(uuid);
    if (active && live) active.device = live;
    const mirrors = liveMirrors(devices, uuid).map(({ name }) => name);
    if (mirrors.length > 1) this.#notices.uuidShared(current, mirrors);
    if (inactive || (live && !active)) return;
    for (const instance of this.#instances.ofMirror(uuid)) {
      const used = instance === current || (live && instance === active);
      if (!used && monotonic() - instance.changedAt >= LOADING_MS) await this.#remove(instance);
    }
  }
}
