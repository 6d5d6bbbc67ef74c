// What is in a cache entry, written down when it is made: so that one which lost a file (to somebody who tidies up, or
// to a crash of the machine) is known for what it is.

import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";

const LIST = ".contents.json";

type Contents = Readonly<Record<string, string>>;

export async function writeContents(directory: string): Promise<void> {
  const contents: Record<string, string> = {};
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    contents[name] = describe(path.join(directory, name));
  }
  await writeFile(path.join(directory, LIST), JSON.stringify(contents, null, 1));
}

/** True when everything is there that was there at `writeContents`. Thousands of files take tenths of a second. */
export function isWhole(directory: string): boolean {
  let contents: Contents;
  try {
    contents = JSON.parse(readFileSync(path.join(directory, LIST), "utf8")) as Contents;
  } catch {
    return false;
  }
  return Object.entries(contents).every(([name, what]) => describe(path.join(directory, name)) === what);
}

function describe(file: string): string {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return "nothing";
  if (found.isDirectory()) return "directory";
  // a directory's size is its file system's affair, and so is a link's
  return found.isFile() ? `${found.size} bytes` : "special";
}
