// How o2dlm prints a lock's name: as it is, line breaks and all, but for names that begin with N. It takes those for the
// dentry locks of an ocfs2 volume, which have 17 characters and a binary number from byte 18 on, and prints the first 17
// bytes and the lower half of that number in hexadecimal. Source: fs/ocfs2/dlm/dlmdebug.c, `stringify_lockname()`.

const PREFIX = 17;
const NUMBER_LOW = 22;
const DIGITS = 8;

/** A lock's name as Latin-1, from what the kernel printed. */
export interface PrintedName {
  name: string;
  /** False: bytes of it were not printed, and `name` ends before them. */
  complete: boolean;
}

export function readPrinted(printed: string): PrintedName {
  if (!printed.startsWith("N")) return { name: printed, complete: true };
  const name = printed.slice(0, -DIGITS);
  // what is shorter than its prefix ends there: a NUL is in no file's name
  return { name, complete: name.length < PREFIX };
}

/** What the kernel prints for a name; both as Latin-1. */
export function printName(name: string): string {
  if (!name.startsWith("N")) return name;
  const number = Buffer.alloc(DIGITS / 2);
  number.write(name.slice(NUMBER_LOW, NUMBER_LOW + number.length), "latin1");
  return name.slice(0, PREFIX) + number.toString("hex");
}
