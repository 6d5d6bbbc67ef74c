import type { LogIdentity } from "../log/dirty-log";

import type { LogInstance } from "./instance";

/** The logs that a server has: at most one for each table, and so for a mirror as many as it has tables. */
export class Instances {
  readonly #byTable = new Map<string, LogInstance>();

  all(): LogInstance[] {
    return [...this.#byTable.values()];
  }

  get(identity: LogIdentity): LogInstance | undefined {
    return this.#byTable.get(keyOf(identity));
  }

  /** Returns the one whose place it takes. */
  put(instance: LogInstance): LogInstance | undefined {
    const replaced = this.get(instance);
    this.#byTable.set(keyOf(instance), instance);
    return replaced;
  }

  /** Not one that has taken its place. */
  remove(instance: LogInstance): void {
    if (this.get(instance) === instance) this.#byTable.delete(keyOf(instance));
  }

  clear(): void {
    this.#byTable.clear();
  }

  ofMirror(uuid: string): LogInstance[] {
    return this.all().filter((instance) => instance.uuid === uuid);
  }

  /** The one that the mirror's live table uses. */
  running(uuid: string): LogInstance | undefined {
    return this.ofMirror(uuid).find(({ running }) => running);
  }

  /** The one of the same mirror that was resumed last. */
  predecessor(instance: LogInstance): LogInstance | undefined {
    return this.ofMirror(instance.uuid)
      .filter((other) => other !== instance && other.log && other.resumedAt !== undefined)
      .sort((one, other) => (other.resumedAt ?? 0) - (one.resumedAt ?? 0))[0];
  }
}

export function keyOf({ uuid, luid }: LogIdentity): string {
  return `${luid}\0${uuid}`;
}
