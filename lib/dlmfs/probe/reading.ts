// Reads small files of procfs, sysfs, configfs and debugfs: attributes, whose reading takes no lock that anybody sleeps
// with for long.

import { readFile, readdir, stat } from "node:fs/promises";

import type { Unread } from "./findings";

/** Reads what there is. What is not there is undefined; what is there and cannot be read is noted too. */
export class Reader {
  readonly unread: Unread[] = [];

  async #attempt<T>(path: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      const { code = "EIO" } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTDIR") this.unread.push({ path, code });
      return undefined;
    }
  }

  /** Without blanks and line ends around it. */
  text(path: string): Promise<string | undefined> {
    return this.#attempt(path, async () => (await readFile(path, "utf8")).trim());
  }

  /** The numbers in a file, whatever is between them. */
  async numbers(path: string): Promise<number[] | undefined> {
    const text = await this.text(path);
    return text?.match(/\d+/g)?.map(Number) ?? (text === undefined ? undefined : []);
  }

  /** The number that a file holds; undefined when it holds none, too. */
  async number(path: string): Promise<number | undefined> {
    return (await this.numbers(path))?.[0];
  }

  async flag(path: string): Promise<boolean | undefined> {
    const number = await this.number(path);
    return number === undefined ? undefined : number !== 0;
  }

  /** The names in a directory, in order. */
  async names(path: string): Promise<string[] | undefined> {
    return (await this.#attempt(path, () => readdir(path)))?.sort();
  }

  /** The names of the directories in a directory, in order. */
  async directories(path: string): Promise<string[] | undefined> {
    const entries = await this.#attempt(path, () => readdir(path, { withFileTypes: true }));
    return entries
      ?.filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#attempt(path, () => stat(path))) !== undefined;
  }

  /** Device and inode of a file, as /proc/locks has them. */
  async identity(path: string): Promise<string | undefined> {
    const found = await this.#attempt(path, () => stat(path, { bigint: true }));
    if (!found) return undefined;
    const { dev, ino } = found;
    // glibc's gnu_dev_major() and gnu_dev_minor()
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
    const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn & 0xffffffffn);
    const hex = (number: bigint): string => number.toString(16).padStart(2, "0");
    return `${hex(major)}:${hex(minor)}:${ino}`;
  }
}
