// The kernel's file systems as the controller uses them: attributes that take a value whole, in one write, and
// directories that are objects.

import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from "node:fs";

export interface Tree {
  exists(path: string): boolean;
  /** An attribute's value, without the line's end; undefined when there is no such attribute. */
  read(path: string): string | undefined;
  write(path: string, value: string | Uint8Array): void;
  /** The directories in a directory; none when it is not there. */
  list(path: string): string[];
  make(path: string): void;
  remove(path: string): void;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

export const kernelTree: Tree = {
  exists: existsSync,

  read(path) {
    try {
      return readFileSync(path, "utf8").trimEnd();
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  },

  write(path, value) {
    // sysfs checks the ways a file is opened for, and nothing is to be created
    const fd = openSync(path, constants.O_WRONLY);
    try {
      const bytes = typeof value === "string" ? Buffer.from(value) : value;
      writeSync(fd, bytes);
    } finally {
      closeSync(fd);
    }
  },

  list(path) {
    try {
      return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  },

  make(path) {
    mkdirSync(path);
  },

  remove(path) {
    rmdirSync(path);
  },
};
