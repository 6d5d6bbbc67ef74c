// Answers that take seconds to find, kept as JSON files. They save time and no more: one that cannot be read is asked
// for again, and one that cannot be written (a read-only cache, a full disk) is forgotten.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

/** Whatever is in the file, and undefined if that is no JSON. */
export async function readNote(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch {
    return undefined;
  }
}

export async function writeNote(file: string, value: unknown): Promise<void> {
  // another lab may read it at any time, so it appears whole
  const fresh = `${file}.${process.pid}`;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(fresh, JSON.stringify(value, null, 2));
    await rename(fresh, file);
  } catch {
    await rm(fresh, { force: true }).catch(() => undefined);
  }
}
