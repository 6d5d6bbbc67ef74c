import type { Reader } from "./reading";
import { ROOTS } from "./roots";

/**
 * Of a kernel module. "loaded": it is there, as a module or built in; "available": modprobe would find it; "missing": this
 * kernel was built or packaged without it; "unknown": the list of this kernel's modules could not be read.
 */
export type ModuleState = "loaded" | "available" | "missing" | "unknown";

/** What of the modules of the running kernel is of interest here. */
export class KernelModules {
  readonly #reader: Reader;
  #list: Promise<string | undefined> | undefined;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async state(name: string): Promise<ModuleState> {
    if (await this.#reader.exists(`${ROOTS.sysfs}/module/${name}`)) return "loaded";
    this.#list ??= this.#readList();
    const list = await this.#list;
    if (list === undefined) return "unknown";
    return new RegExp(`/${name}\\.ko[.:\\n]`).test(list) ? "available" : "missing";
  }

  async #readList(): Promise<string | undefined> {
    return this.#reader.text(`${ROOTS.modules}/${ROOTS.release}/modules.dep`);
  }
}
