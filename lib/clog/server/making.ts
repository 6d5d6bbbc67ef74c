// How a log is made from the words of a table.

import { constants } from "node:os";

import { ClogError } from "../../errors";
import { type NativeRegions, native } from "../../native";
import type { DirtyLog, LogArguments, LogContext, LogFactory } from "../log/dirty-log";

import { checkGeometry, parseConstruction } from "./construction";
import type { LogInstance } from "./instance";
import type { Instances } from "./instances";
import type { Notices } from "./notices";
import type { Records } from "./records";

const { EINVAL } = constants.errno;

export type Origin = LogContext["origin"];

/** What a table asks for. */
export interface Order {
  readonly factory: LogFactory;
  readonly parameters: LogArguments;
}

export class Making {
  readonly #factories: ReadonlyMap<string, LogFactory>;
  readonly #instances: Instances;
  readonly #records: Records;
  readonly #notices: Notices;

  constructor(factories: ReadonlyMap<string, LogFactory>, instances: Instances, records: Records, notices: Notices) {
    this.#factories = factories;
    this.#instances = instances;
    this.#records = records;
    this.#notices = notices;
  }

  /** Throws EINVAL when there is no such log. */
  order({ flavour, uuid, words }: LogInstance): Order {
    const parameters = parseConstruction(flavour, uuid, words);
    const factory = this.#factories.get(parameters.type);
    if (factory) return { factory, parameters };
    const types = [...this.#factories.keys()].join(", ");
    throw new ClogError({
      errno: -EINVAL,
      syscall: "DM_ULOG_CTR",
      uuid,
      hint: `there is no log of type '${parameters.type}'; this server has ${types}`,
    });
  }

  /** Throws what the factory throws. */
  async make(instance: LogInstance, { factory, parameters }: Order, origin: Origin): Promise<DirtyLog> {
    const { uuid, luid } = instance;
    instance.parameters = parameters;
    return factory({
      ...{ uuid, luid, ...parameters, origin },
      resumed: instance.running,
      regions: (count, durable) => this.#openRegions(instance, origin, count, durable),
      predecessor: () => this.#instances.predecessor(instance)?.log,
      report: (event) => {
        this.#notices.report(instance, event);
      },
    });
  }

  /** Throws EINVAL for a log with which the kernel could not live. */
  accept(instance: LogInstance, log: DirtyLog, { parameters }: Order): void {
    instance.log = log;
    checkGeometry(instance.uuid, parameters.length, log);
    instance.regionSize = log.regionSize;
    instance.regionCount = log.regionCount;
  }

  #openRegions(instance: LogInstance, origin: Origin, count: number, durable: boolean): NativeRegions {
    const { uuid } = instance;
    if (instance.gone) throw new Error(`${uuid}: the log has no table any more`);
    if (instance.regions) throw new Error(`${uuid}: regions() was called before`);
    try {
      instance.regions = native().openRegions(count, durable, this.#records.regionsPath(instance));
    } catch (error) {
      const { errno, syscall } = error as { errno?: unknown; syscall?: unknown };
      if (typeof errno !== "number" || typeof syscall !== "string") throw error;
      throw new ClogError({ errno, syscall, uuid, path: this.#records.regionsPath(instance), cause: error });
    }
    if (origin === "restored" && !instance.regions.restored) {
      instance.regionsLost = true;
      throw new Error(`${uuid}: what was known of its regions is lost`);
    }
    return instance.regions;
  }
}
