// debugfs dlm/NAME_toss: resources without locks that this node still remembers. Kernels up to 6.9 begin with "version 4
// rsb 2", later ones with the names of columns. Source: fs/dlm/debug_fs.c, `print_format4()`.

import { Lines, printedName } from "./lines";

const HEADER = /^(version 4 rsb |rsb ptr )/;
const RESOURCE = /^rsb [0-9a-fx]+ -?\d+ (-?\d+) (-?\d+) (-?\d+) \d+ [0-9a-f]+ \d+ (str|hex) (.*)$/s;

export interface RawInactive {
  /** Latin-1. */
  name: string;
  /** 0 for not known. */
  masterNodeId: number;
  directoryNodeId: number;
  ourNodeId: number;
}

export class TossParser {
  stranger: string | undefined;
  readonly #lines = new Lines();
  readonly #resources = new Map<string, RawInactive>();

  push(text: string): void {
    for (const line of this.#lines.push(text)) {
      const [, master, directory, our, kind, printed] = RESOURCE.exec(line) ?? [];
      if (printed !== undefined) {
        const name = printedName(kind, printed);
        const ids = { masterNodeId: Number(master), directoryNodeId: Number(directory), ourNodeId: Number(our) };
        this.#resources.set(name, { name, ...ids });
      } else if (!HEADER.test(line)) {
        this.stranger ??= line;
      }
    }
  }

  end(): RawInactive[] {
    if (this.#lines.rest !== "") this.stranger ??= this.#lines.rest;
    return [...this.#resources.values()];
  }
}
