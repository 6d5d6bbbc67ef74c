import type { LogIdentity } from "../log/dirty-log";

import type { LogInstance } from "./instance";
import type { Notices } from "./notices";
import type { Entry, Registry } from "./registry";

/** What a successor is told, where there is a registry for it. What the kernel does not wait for does not fail here. */
export class Records {
  readonly #registry: Registry | undefined;
  readonly #notices: Notices;

  constructor(registry: Registry | undefined, notices: Notices) {
    this.#registry = registry;
    this.#notices = notices;
  }

  async left(): Promise<Entry[]> {
    return (
      (await this.#registry?.entries((path, reason) => {
        this.#notices.damaged(path, reason);
      })) ?? []
    );
  }

  /** The file of its regions. */
  regionsPath(identity: LogIdentity): string | undefined {
    return this.#registry?.regionsPath(identity);
  }

  async removeRegions(identity: LogIdentity): Promise<void> {
    await this.#registry?.removeRegions(identity);
  }

  /** Fails when it cannot be kept: for a table that can still be refused. */
  async keepNew(instance: LogInstance): Promise<void> {
    await this.#registry?.keep(instance);
  }

  /** Does not fail: the kernel goes on with the log in any case. */
  async keep(instance: LogInstance): Promise<void> {
    await this.#registry?.keep(instance).catch((thrown: unknown) => {
      this.#notices.notKept(instance, thrown);
    });
  }

  /** Does not fail either. */
  async forget(identity: LogIdentity): Promise<void> {
    await this.#registry?.remove(identity).catch((thrown: unknown) => {
      this.#notices.notKept(identity, thrown);
    });
  }
}
