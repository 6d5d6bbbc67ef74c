/** Cuts text that comes in pieces into lines. */
export class Lines {
  #rest = "";

  *push(text: string): Generator<string, void, undefined> {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    yield* lines;
  }

  /** What came after the last line's end. */
  get rest(): string {
    return this.#rest;
  }
}

/** `str NAME` or `hex 0a 0b …`, the kernel's two ways to print a name: the latter when a byte is not printable ASCII. */
export function printedName(kind: string | undefined, name: string): string {
  return kind === "hex" ? Buffer.from(name.replaceAll(" ", ""), "hex").toString("latin1") : name;
}

/** A column in hexadecimal; what a pattern has matched is there. */
export function hexColumn(text = ""): number {
  return Number.parseInt(text, 16);
}
