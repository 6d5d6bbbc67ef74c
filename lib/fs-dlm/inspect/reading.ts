// Reads the kernel's files in libuv's threads, never on the event loop's: printing a big lockspace costs the kernel time.

import { open, readFile } from "node:fs/promises";

import { type Problem, fileProblem } from "./problems";

// seq_file hands out a page or so for each read, whatever is asked for: a bigger buffer only serves plain files.
const CHUNK = 16_384;

/** The bytes of a file as the kernel hands them out, as Latin-1: one character is one byte. */
export async function* readChunks(path: string, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, CHUNK, null);
      if (bytesRead === 0) return;
      yield buffer.toString("latin1", 0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** What a single read of a file gives: for files that the kernel prints anew for each read. */
export async function readOnce(path: string, size: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0);
    return buffer.toString("latin1", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** A small file of sysfs or configfs, without the line's end; undefined, with a problem noted, if it cannot be read. */
export async function readText(path: string, problems: Problem[]): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).trimEnd();
  } catch (error) {
    problems.push(fileProblem(path, error));
    return undefined;
  }
}

/** As readText, for a file that holds one number. */
export async function readNumber(path: string, problems: Problem[], radix = 10): Promise<number | undefined> {
  const text = await readText(path, problems);
  if (text === undefined) return undefined;
  const number = Number.parseInt(text, radix);
  return Number.isNaN(number) ? undefined : number;
}
